"""The live trader in a process of its own, killed with SIGKILL over and over while everything else goes wrong too.

One *campaign* per exchange: the local exchange in its own process with a time that the campaign moves, one database,
one life of the trader after the other. ``weather`` spoils requests and streams, ``deaths`` says when the trader is
killed, ``audit`` compares its book with the exchange's own ledger, ``stopless`` reads from the exchange's timeline how
long what was held had no stop. ``nursery`` gives birth to traders quickly. ``benchmarks/chaos.py`` runs it.
"""
