"""The safety lines: what stands between a verdict and a wrong, a double or a silent change of production."""

from __future__ import annotations

from tests.mutants.running import Line

_ROLLBACK = ("tests/core/test_rollback.py",)
_FAULTS = ("tests/jobs/test_saga_under_faults.py",)
_CLOCKS = ("tests/jobs/test_clock_steps.py",)
_GUARDS = ("tests/core/test_guards.py",)
_COMMANDS = ("tests/jobs/test_commands.py",)
_CLAIMS = ("tests/store/test_claims.py",)
_SENDING = ("tests/jobs/test_replicas_sending.py",)

LINES = (
    # What is looked at before a request.
    Line(
        name="a human who was first, before sending",
        file="core/rollback.py",
        line='    if foreign := _foreign(saga, sight):\n        return Record(event=Event.HUMAN_MOVED, why=_who(foreign[-1]))\n    if sight.pointer != saga.bad_version_id:\n        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}, not',
        instead='    if sight.pointer != saga.bad_version_id:\n        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}, not',
        tests=_ROLLBACK,
    ),
    Line(
        name="the pointer, before sending",
        file="core/rollback.py",
        line='    if sight.pointer != saga.bad_version_id:\n        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}, not',
        instead='    if False:\n        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}, not',
        tests=_ROLLBACK,
    ),
    Line(
        name="our own promotion, found before sending",
        file="core/rollback.py",
        line='        return Record(event=Event.FOUND, why="the platform\'s history already shows our promotion", audit_id=ours.id)\n',
        instead="        pass\n",
        tests=("tests/jobs/test_saga_under_faults.py", "tests/core/test_rollback.py"),
    ),
    # What is made of a request without an answer.
    Line(
        name="settle: a request may be applied late",
        file="core/rollback.py",
        line="    settled_at = (saga.sent_at or now) + saga.settle\n",
        instead="    settled_at = saga.sent_at or now\n",
        tests=_ROLLBACK,
    ),
    Line(
        name="our own promotion, found after sending",
        file="core/rollback.py",
        line='        return Record(event=Event.FOUND, why="the platform\'s history shows our promotion", audit_id=ours.id)\n',
        instead="        pass\n",
        tests=_FAULTS + _ROLLBACK,
    ),
    Line(
        name="no second request where the history may not be read",
        file="core/rollback.py",
        line="        return Record(event=Event.GAVE_UP, why=why)\n    if saga.attempt >= MAX_ATTEMPTS:\n",
        instead="        pass\n    if saga.attempt >= MAX_ATTEMPTS:\n",
        tests=_ROLLBACK,
    ),
    Line(
        name="an unknown outcome is not taken for not sent",
        file="jobs/advance.py",
        line="        return True  # the row stays in SENDING and is due at once: the next round looks\n",
        instead="        return _again(deps, sending, str(exc), deps.clock.now() + _pause(exc, _RETRY_SEND))\n",
        tests=_FAULTS,
    ),
    # What is read back.
    Line(
        name="the read-back of the pointer",
        file="core/rollback.py",
        line="    if sight.pointer == saga.target_version_id:\n        if ours and any(",
        instead="    if True:\n        if ours and any(",
        tests=_ROLLBACK,
    ),
    Line(
        name="a human whom our promotion went over",
        file="core/rollback.py",
        line="        if ours and any(p.at <= ours.at and p.to_version_id != saga.target_version_id for p in foreign):\n",
        instead="        if False:\n",
        tests=_ROLLBACK,
    ),
    Line(
        name="our mark on a human's promotion is not ours",
        file="core/promotion.py",
        line="    return _OWN_NOTE.fullmatch(promotion.note) is not None and promotion.actor_type is not ActorType.USER\n",
        instead="    return _OWN_NOTE.fullmatch(promotion.note) is not None\n",
        tests=("tests/core/test_promotion.py",),
    ),
    # What is made of a clock that somebody sets.
    Line(
        name="settle goes by a clock that nobody sets",
        file="jobs/advance.py",
        line="            return now if saga.sent_at is None else saga.sent_at + deps.waits.lasted(_sent(saga))\n",
        instead="            return now\n",
        tests=_CLOCKS,
    ),
    Line(
        name="a countdown goes by a clock that nobody sets",
        file="jobs/advance.py",
        line='            return saga.due_at - deps.waits.left(f"{saga.id} counts", saga.due_at, now, longest=whole)\n',
        instead="            return now\n",
        tests=_CLOCKS,
    ),
    Line(
        name="no wait is longer than any of its kind",
        file="jobs/waits.py",
        line="wait if wait <= longest else _NONE",
        instead="wait",
        tests=_CLOCKS,
    ),
    Line(
        name="a verification ends by the platform's clock",
        file="jobs/verify.py",
        line="deps.platform_time(now) >= incident.recovery_until",
        instead="now >= incident.recovery_until",
        tests=_CLOCKS,
    ),
    # One writer.
    Line(
        name="the fencing token",
        file="store/incidents.py",
        line="        & (incidents.c.token == incident.token)\n",
        instead="",
        tests=("tests/store/test_rows.py",),
    ),
    Line(
        name="the expected state",
        file="store/incidents.py",
        line="        & (incidents.c.state == incident.state.value)\n        & (incidents.c.recovery == incident.recovery.value)\n        & (incidents.c.token == incident.token)\n",
        instead="",
        tests=("tests/store/test_rows.py",),
    ),
    Line(
        name="transactions that begin IMMEDIATE",
        file="store/engine.py",
        line='        connection.exec_driver_sql("BEGIN" if looks_only else "BEGIN IMMEDIATE")\n',
        instead='        connection.exec_driver_sql("BEGIN")\n',
        tests=("tests/store/test_database.py",),
    ),
    Line(
        name="one daemon on one SQLite file",
        file="store/engine.py",
        line="            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        except OSError as exc:\n            self._file.close()\n            what = ",
        instead="            pass\n        except OSError as exc:\n            self._file.close()\n            what = ",
        tests=("tests/store/test_database.py",),
    ),
    Line(
        name="a command is taken by one",
        file="store/commands.py",
        line="    where = (commands.c.id == command.id) & commands.c.executed_at.is_(None) & ~before.exists()\n",
        instead="    where = (commands.c.id == command.id) & ~before.exists()\n",
        tests=("tests/store/test_commands.py",),
    ),
    Line(
        name="a command waits for those that were asked for earlier",
        file="store/commands.py",
        line="    where = (commands.c.id == command.id) & commands.c.executed_at.is_(None) & ~before.exists()\n",
        instead="    where = (commands.c.id == command.id) & commands.c.executed_at.is_(None)\n",
        tests=("tests/store/test_commands.py",),
    ),
    # Whom it is about.
    Line(
        name="only REGRESSED acts",
        file="core/policy.py",
        line="    if judgement.verdict is not Verdict.REGRESSED:\n",
        instead="    if judgement.verdict is not Verdict.REGRESSED and not judgement.tripped:\n",
        tests=("tests/core/test_policy.py",),
    ),
    Line(
        name="a version that was taken off production is no target",
        file="core/promotion.py",
        line="        if version == candidate_version_id or latest_standing[version] is Standing.REVERTED:\n",
        instead="        if version == candidate_version_id:\n",
        tests=("tests/core/test_promotion.py",),
    ),
    Line(
        name="quarantine, once more before sending",
        file="jobs/guarding.py",
        line="        quarantined=is_quarantined(journal.journal(connection, watch.prompt_id), target),\n",
        instead="        quarantined=False,\n",
        tests=_COMMANDS,
    ),
    Line(
        name="a call counts once",
        file="store/intakes.py",
        line='        wanted.difference_update(connection.execute(_SEEN, {"of": owner, "ids": chunk}).scalars())\n',
        instead='        connection.execute(_SEEN, {"of": owner, "ids": chunk})\n',
        tests=("tests/jobs/test_ingest.py",),
    ),
    # How much it may do.
    Line(
        name="the cool-down",
        file="core/guards.py",
        line="is not None and now < until:\n",
        instead="is not None and False:\n",
        tests=_GUARDS,
    ),
    Line(
        name="reverts an hour",
        file="core/guards.py",
        line="    if done.last_hour >= limits.per_hour:\n",
        instead="    if False:\n",
        tests=_GUARDS,
    ),
    Line(
        name="reverts a day",
        file="core/guards.py",
        line="    if done.last_day >= limits.per_day:\n",
        instead="    if False:\n",
        tests=_GUARDS,
    ),
    Line(
        name="the fleet breaker",
        file="core/guards.py",
        line="    if n < 2 or (n < _FLEET_PROMPTS and n <= _FLEET_SHARE * guarded):\n",
        instead="    if n >= 0:\n",
        tests=_GUARDS,
    ),
    Line(
        name="an approval counts for an hour",
        file="jobs/commands.py",
        line="    if (late := expired(command, commands.waited(connection, command, now))) is not None:\n        return late\n",
        instead="",
        tests=_COMMANDS,
    ),
    Line(
        name="a revert at the end of a countdown counts for the guards",
        file="jobs/advance.py",
        line="why=why, begun_at=begun_at)",
        instead="why=why)",
        tests=("tests/jobs/test_countdown.py",),
    ),
    Line(
        name="the guards go by a clock that nobody sets",
        file="jobs/guarding.py",
        line="    at = deps.platform_time(now)\n    return Counts(",
        instead="    at = now\n    return Counts(",
        tests=_CLOCKS,
    ),
    Line(
        name="the kill switch",
        file="core/holds.py",
        line="    if thrown:\n",
        instead="    if False:\n",
        tests=_COMMANDS,
    ),
    Line(
        name="a hold, right before sending",
        file="jobs/advance.py",
        line="    if refused is None:\n        return False\n    _hold(connection, incident, refused, watch, now)\n",
        instead="    if True:\n        return False\n    _hold(connection, incident, refused, watch, now)\n",
        tests=_COMMANDS,
    ),
    Line(
        name="the guards, again at the end of a countdown",
        file="jobs/advance.py",
        line="        if refused is not None:\n            held = _hold(connection, incident, refused, watch, now)\n",
        instead="        if False:\n            held = _hold(connection, incident, refused, watch, now)\n",
        tests=("tests/jobs/test_countdown.py",),
    ),
    # Who is told.
    Line(
        name="a message that may have arrived is looked for",
        file="jobs/send.py",
        line="    maybe_sent = parcel.state is Delivery.SENDING\n",
        instead="    maybe_sent = False\n",
        tests=("tests/jobs/test_outbox.py",),
    ),
    Line(
        name="the messenger's library does not try again by itself",
        file="notify/slack.py",
        line="            retry_handlers=[BriefRateLimit(max_retry_count=1)],\n",
        instead="",
        tests=("tests/notify/test_slack.py",),
    ),
    Line(
        name="a notice is put in once",
        file="store/outbox.py",
        line="    return rows.add(connection, outbox, values)\n",
        instead="    return rows.add(connection, outbox, values) or True\n",
        tests=("tests/store/test_rows.py",),
    ),
    Line(
        name="no redirect takes the token along",
        file="platforms/http.py",
        line="        follow_redirects=False,\n",
        instead="        follow_redirects=True,\n",
        tests=("tests/platforms/test_http_faults.py",),
    ),
    # Several replicas.
    Line(
        name="every write is checked against the claim",
        file="store/claims.py",
        line="    if connection.execute(query.with_for_update(of=claims)).first() is None:\n",
        instead="    if False:\n",
        tests=_CLAIMS,
    ),
    Line(
        name="a claim is held from the check to the commit",
        file="store/claims.py",
        line="    if connection.execute(query.with_for_update(of=claims)).first() is None:\n",
        instead="    if connection.execute(query).first() is None:\n",
        tests=_CLAIMS,
    ),
    Line(
        name="the claim's token",
        file="store/claims.py",
        line="        claims.c.token == claim.token,\n",
        instead="",
        tests=_CLAIMS,
    ),
    Line(
        name="the end of the lease, by the database's clock",
        file="store/claims.py",
        line="        type_coerce(claims.c.lease_until, BigInteger) > database_time(),\n",
        instead="",
        tests=_CLAIMS,
    ),
    Line(
        name="the schema, in each transaction",
        file="store/claims.py",
        line='        text("(SELECT version_num FROM alembic_version) = :head").bindparams(head=HEAD),\n',
        instead="",
        tests=_CLAIMS,
    ),
    Line(
        name="only what is free is taken",
        file="store/claims.py",
        line="                .where(claims.c.item.in_(chunk), claims.c.item.not_in(stopped), until <= database_time())\n",
        instead="                .where(claims.c.item.in_(chunk), claims.c.item.not_in(stopped))\n",
        tests=_CLAIMS,
    ),
    Line(
        name="what another is taking is passed over",
        file="store/claims.py",
        line="                .limit(most - len(taken))\n                .with_for_update(skip_locked=True)\n",
        instead="                .limit(most - len(taken))\n                .with_for_update()\n",
        tests=_CLAIMS,
    ),
    Line(
        name="no takeover while the sender's session lives",
        file="store/claims.py",
        line="            if not _try_lock(connection, row.item) and patient:\n",
        instead="            if False:\n",
        tests=_CLAIMS,
    ),
    Line(
        name="who counts waits for who is counting",
        file="store/claims.py",
        line="    if counting:\n",
        instead="    if False:\n",
        tests=_CLAIMS,
    ),
    Line(
        name="the guards are counted one after another",
        file="jobs/advance.py",
        line="    with deps.store.write(counting=True) as connection:\n        watch = watches.watch_of(",
        instead="    with deps.store.write() as connection:\n        watch = watches.watch_of(",
        tests=_SENDING,
    ),
    Line(
        name="the lease outlasts the request, asked right before it",
        file="jobs/advance.py",
        line="    if not deps.claims.lasts(prompt_item(saga.prompt_id)):\n",
        instead="    if False:\n",
        tests=_SENDING,
    ),
    Line(
        name="the lock of the sender's session",
        file="jobs/advance.py",
        line="    with deps.claims.sending(prompt_item(incident.saga.prompt_id)):\n",
        instead="    if True:\n",
        tests=_SENDING,
    ),
    Line(
        name="what was kept in memory is dropped with the claim",
        file="jobs/claims.py",
        line="            deps.forget(rows.watches_of(connection, [claim.item for claim in taken]))\n",
        instead="            pass\n",
        tests=("tests/jobs/test_replicas.py",),
    ),
)
