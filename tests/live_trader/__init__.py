"""The whole live trader in a process of its own, against local exchanges.

``harness``: ``prepared`` stores what a trader needs (wallets file, keys, configurations), ``running_trader`` starts it.
``launcher`` is the process: the product's own ``run_live``, given a session that reaches the local exchanges and a
strategy that finds setups often (``steady``). ``launch`` is what it is launched with.
"""
