//! The structure of `src`, as ARCHITECTURE.md states it: ranks without cycles, and what is contained where.
