"""Diffie-Hellman over the known groups of integers modulo a prime (RFC 2409, RFC 3526).

C{cryptography} deprecates these and will drop them, so the arithmetic is GMP's, in a time that tells nothing about the
exponent; Python's own C{pow} would hold the interpreter six times as long.  The primes are the published ones, which
need no check: testing one of 8192 bits takes half a minute.
"""

from __future__ import annotations

import secrets
from functools import cache
from types import MappingProxyType
from typing import Final

from attrs import frozen
from gmpy2 import powmod_sec

GENERATOR: Final = 2


@frozen
class Group:
    """A group of integers modulo a prime, with the generator 2.

    @ivar bits: of the prime.
    @ivar offset: the number by which the formula of RFC 3526 (and RFC 2409) finds the prime.
    @ivar exponent: bits of a private exponent: twice the strength of the group by the upper estimate of RFC 3526
        section 8, since longer ones cost time and add nothing.
    """

    bits: int
    offset: int
    exponent: int

    @property
    def prime(self) -> int:
        """2^bits - 2^(bits-64) - 1 + 2^64 * ([2^(bits-130) pi] + offset)."""
        return _prime(self.bits, self.offset)

    def private(self) -> int:
        """A fresh private exponent."""
        return secrets.randbits(self.exponent) | 1 << (self.exponent - 1)

    def public(self, private: int) -> int:
        """What the other side is sent."""
        return int(powmod_sec(GENERATOR, private, self.prime))

    def shared(self, private: int, public: int) -> int:
        """The secret that both sides come to; raises L{ValueError} for a public value that gives it away."""
        # RFC 4253 section 8: values outside [1, p-1] are refused; 1 and p-1 make a secret that anybody can guess.
        if not 1 < public < self.prime - 1:
            raise ValueError("a public value outside 2..p-2")
        return int(powmod_sec(public, private, self.prime))


GROUP1: Final = Group(1024, 129_093, 320)
GROUP14: Final = Group(2048, 124_476, 320)
GROUP15: Final = Group(3072, 1_690_314, 420)
GROUP16: Final = Group(4096, 240_904, 480)
GROUP17: Final = Group(6144, 929_484, 540)
GROUP18: Final = Group(8192, 4_743_158, 620)

EXCHANGEABLE: Final = MappingProxyType({group.bits: group for group in (GROUP14, GROUP15, GROUP16, GROUP17, GROUP18)})
"""The groups that a group exchange chooses from, by their size in bits."""


def group_between(least: int, preferred: int, most: int) -> Group:
    """The smallest known group of at least the preferred size, else the largest that is allowed (RFC 4419 section 3).

    @raise ValueError: when none is between C{least} and C{most} bits.
    """
    allowed = [group for bits, group in sorted(EXCHANGEABLE.items()) if least <= bits <= most]
    if not allowed:
        raise ValueError(f"no group of {least} to {most} bits")
    return next((group for group in allowed if group.bits >= preferred), allowed[-1])


@cache
def _prime(bits: int, offset: int) -> int:
    return (1 << bits) - (1 << (bits - 64)) - 1 + ((_pi(bits - 130) + offset) << 64)


def _pi(bits: int) -> int:
    """2^bits * pi, rounded down, by Machin's formula: pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    guard = 64
    one = 1 << (bits + guard)
    return (16 * _arctan(5, one) - 4 * _arctan(239, one)) >> guard


def _arctan(inverse: int, one: int) -> int:
    """The arctangent of 1/inverse, times C{one}."""
    power = total = one // inverse
    divisor = 1
    while power:
        power = -power // (inverse * inverse)
        divisor += 2
        total += power // divisor
    return total
