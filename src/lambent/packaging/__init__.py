"""Deployment packages: ZIP archives → content-addressed read-only trees.

Theory of operation. `zip_format` reads the archive's directory and inflates entries, believing nothing; `tree_plan`
decides, purely, what the tree will be, and refuses before anything is written; `extract` writes it; `code_store` keeps
archives and trees on disk through crashes; `build` makes archives for `lambent deploy`. May import `model`.
"""
