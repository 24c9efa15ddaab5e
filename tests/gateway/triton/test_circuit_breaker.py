"""When a circuit lets callers through."""

from __future__ import annotations

from shopfuse_gateway.triton.circuit_breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(3, 1.0, clock)
    for _ in range(3):
        breaker.failed()
    return breaker


def test_closed_circuit_allows_until_failures_in_a_row() -> None:
    breaker = CircuitBreaker(3, 1.0)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()

        assert breaker.allows()


def test_open_circuit_refuses_then_lets_one_try() -> None:
    clock = Clock()
    breaker = opened(clock)

    assert not breaker.allows()
    clock.now = 1.0
    assert breaker.allows() and not breaker.allows()


def test_failed_try_keeps_it_open_and_success_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 1.0
    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open and not breaker.allows()
    clock.now = 2.0
    assert breaker.allows()
    breaker.succeeded()

    assert not breaker.is_open and breaker.allows() and breaker.allows()
