//! A line diff for edits, bounded: large changes show as removed and added blocks.

/// One line of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// Above this many cells the middle is not aligned line by line.
const MAX_CELLS: usize = 160_000;

/// The lines of `old` and `new`, aligned.
pub(super) fn lines<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);

    let mut out: Vec<Line<'a>> = old[..head].iter().map(|line| Line::Same(line)).collect();
    if a.len().saturating_mul(b.len()) > MAX_CELLS {
        out.extend(a.iter().map(|line| Line::Removed(line)));
        out.extend(b.iter().map(|line| Line::Added(line)));
    } else {
        align(a, b, &mut out);
    }
    out.extend(old[old.len() - tail..].iter().map(|line| Line::Same(line)));
    out
}

/// Longest common subsequence by the textbook table.
fn align<'a>(a: &[&'a str], b: &[&'a str], out: &mut Vec<Line<'a>>) {
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len()
            || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            out.push(Line::Removed(a[i]));
            i += 1;
        } else {
            out.push(Line::Added(b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unchanged_lines_stay_and_changed_ones_show_both_ways() {
        let got = lines("a\nb\nc", "a\nx\nc\nd");
        assert_eq!(
            got,
            [
                Line::Same("a"),
                Line::Removed("b"),
                Line::Added("x"),
                Line::Same("c"),
                Line::Added("d")
            ]
        );
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_back(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let diff = lines(&old, &new);
            let left: Vec<&str> = diff.iter().filter_map(|l| match l { Line::Same(t) | Line::Removed(t) => Some(*t), Line::Added(_) => None }).collect();
            let right: Vec<&str> = diff.iter().filter_map(|l| match l { Line::Same(t) | Line::Added(t) => Some(*t), Line::Removed(_) => None }).collect();
            prop_assert_eq!(left, old.lines().collect::<Vec<_>>());
            prop_assert_eq!(right, new.lines().collect::<Vec<_>>());
        }
    }
}
