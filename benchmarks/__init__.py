"""Benchmarks: convostore, SQLite by hand and the peers, measured interleaved in one run.

`python -m benchmarks` runs them. Each system lives in a child process of its own (`worker`), in
an environment of its own, and is driven through its public interface by an adapter: `byhand`,
`ours`, `peers`. What a child imports needs the standard library alone, but for its adapter.
"""
