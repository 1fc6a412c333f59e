"""The numbers of docs/performance.md, each beside a peer measured in the same run."""
