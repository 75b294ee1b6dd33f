"""The commands of the program, and where each of them is at home."""

from __future__ import annotations

HOMES = {
    "archive": ("convostore.cli.order", "archive"),
    "attachment": ("convostore.cli.attachment", "attachment"),
    "chat": ("convostore.cli.chat", "chat"),
    "completion": ("convostore.cli.completion", "completion"),
    "db": ("convostore.cli.db", "db"),
    "delete": ("convostore.cli.bin", "delete"),
    "delete-branch": ("convostore.cli.branches", "delete_branch"),
    "edit": ("convostore.cli.branches", "edit"),
    "expire": ("convostore.cli.expire", "expire"),
    "export": ("convostore.cli.export", "export"),
    "forget": ("convostore.cli.forget", "forget"),
    "fork": ("convostore.cli.branches", "fork"),
    "list": ("convostore.cli.read", "list_command"),
    "metadata": ("convostore.cli.order", "metadata"),
    "models": ("convostore.cli.models", "models"),
    "move": ("convostore.cli.order", "move"),
    "owner": ("convostore.cli.owner", "owner"),
    "path": ("convostore.cli.read", "path"),
    "pin": ("convostore.cli.order", "pin"),
    "purge": ("convostore.cli.purge", "purge"),
    "regenerate": ("convostore.cli.branches", "regenerate"),
    "restore": ("convostore.cli.bin", "restore"),
    "search": ("convostore.cli.search", "search"),
    "show": ("convostore.cli.read", "show"),
    "stats": ("convostore.cli.stats", "stats"),
    "switch": ("convostore.cli.branches", "switch"),
    "tag": ("convostore.cli.order", "tag"),
    "title": ("convostore.cli.order", "title"),
    "tree": ("convostore.cli.branches", "tree_command"),
    "unarchive": ("convostore.cli.order", "unarchive"),
    "unpin": ("convostore.cli.order", "unpin"),
    "untag": ("convostore.cli.order", "untag"),
}
NAMES = frozenset(HOMES)
