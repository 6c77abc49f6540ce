"""The policy alone: what it answers to which lives."""

from standalone.restarts import RestartPolicy


def test_each_quick_death_doubles_the_wait_until_hope_is_lost() -> None:
    policy = RestartPolicy(first_delay_s=1.0, longest_delay_s=3.0, patience=5)
    assert [policy.delay_after(0.1) for _ in range(5)] == [1.0, 2.0, 3.0, 3.0, None]


def test_a_long_life_is_a_new_beginning() -> None:
    policy = RestartPolicy(first_delay_s=1.0, quick_s=10.0, patience=3)
    assert policy.delay_after(0.1) == 1.0
    assert policy.delay_after(0.1) == 2.0
    assert [policy.delay_after(11.0) for _ in range(9)] == [1.0] * 9
