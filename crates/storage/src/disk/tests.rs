//! The threads against storages in memory.
