"""The bench of the end-to-end tests: namespaces, a far side that logs every byte, the real binary, its log."""
