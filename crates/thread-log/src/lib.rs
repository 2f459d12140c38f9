//! The append service: sanitize, coalesce, store, fold, publish; subscribe and resume by cursor.
