"""The subcommands of `tickledger`, a file each; a module is imported only when its command runs."""
