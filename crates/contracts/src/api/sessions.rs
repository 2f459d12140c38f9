//! Sessions, commands, fences, import (03 §8.3, §8.4).
