"""Many machines and many files: Ray, processes that may die, and paths in object stores."""
