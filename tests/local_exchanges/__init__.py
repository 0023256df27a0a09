"""Exchanges on loopback that speak the real protocols, so that unmodified ccxt and ccxt.pro trade on them.

    with binance_exchange(seed=7) as exchange:              # a thread; own_process=True for one that outlives traders
        async with exchange.client() as client:             # ccxt.pro.binance with alice's keys over TLS
            await client.load_markets()
            exchange.price("50000", depth="0.004")          # the market, by script: last, bid, ask, depth
            exchange.fault(lost_answer(path="/api/v3/order", method="POST"))
            exchange.stream_faults(silent=True)
            ...
        exchange.balance("BTC"), exchange.orders(), exchange.fills()    # the exchange's own ledger
        exchange.longest_uncovered()                        # milliseconds in which a holding had no resting stop

``exchange.config()`` and ``private_session(exchange.reach)`` are for code that makes its own client; ``Reach.as_json``
goes to another process, and ``Reach.of`` comes out there. A session knows the hosts of its exchanges and raises for all
others. Everything a handle can do is in ``running.RunningExchange``; every kind of fault in ``fault_rules`` (requests)
and ``streams.StreamFaults`` (events). The control endpoint behind the handle is plain HTTP on ``reach.control_port``.

A further exchange is a module ``tests/local_exchanges/<ccxt id>.py`` with a subclass of ``venue.Venue`` named
``VENUE``. It translates: requests into orders of the ``SpotExchange`` under it (``self.spot``), refusals into the
exchange's errors, and events into messages on its streams. Money, locks, triggers, matching, fees, candles, faults,
and the control endpoint are the same for all and are not its business.
"""
