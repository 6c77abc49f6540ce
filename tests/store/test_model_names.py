"""Models by name: the newest, a number, an alias."""

import pytest

from store.aliases import Aliases
from store.errors import NotFound
from tests.store.conftest import TENANT, Store


@pytest.fixture
def named(store: Store) -> list[str]:
    """The ids of three models of the name `digits`, oldest first, beside one of another name."""
    job = store.submit(name="digits")
    claim = store.start(job)
    store.report(claim, 1)
    first = store.claims.succeed(claim).model_id
    assert first is not None
    checkpoint = store.models.get(TENANT, first).checkpoint_id
    store.models.add(TENANT, checkpoint, "other")
    return [first, *(store.models.add(TENANT, checkpoint, "digits").id for _ in range(2))]


def test_a_name_means_its_newest_version(store: Store, named: list[str]) -> None:
    assert store.models.resolve(TENANT, "digits").id == named[2]
    assert store.models.versions(TENANT, "digits") == [1, 2, 3]
    store.models.delete(TENANT, named[2])
    assert store.models.resolve(TENANT, "digits").id == named[1]
    store.models.delete(TENANT, named[0])
    assert store.models.versions(TENANT, "digits") == [2]
    assert store.models.versions(TENANT, "nothing") == []


def test_a_version_is_a_number_or_an_alias(store: Store, named: list[str]) -> None:
    assert [store.models.resolve(TENANT, "digits", str(number)).id for number in (1, 2, 3)] == named
    Aliases(store.database).set(TENANT, "digits", "production", 2)
    found = store.models.resolve(TENANT, "digits", "production")
    assert (found.id, found.version, found.aliases) == (named[1], 2, ("production",))
    Aliases(store.database).set(TENANT, "digits", "production", 1)
    assert store.models.resolve(TENANT, "digits", "production").id == named[0]
    # A number is a version, whatever an alias is called.
    Aliases(store.database).set(TENANT, "digits", "3", 1)
    assert store.models.resolve(TENANT, "digits", "3").id == named[2]


def test_what_is_not_there_is_not_found(store: Store, named: list[str]) -> None:
    Aliases(store.database).set(TENANT, "digits", "production", 2)
    for tenant, name, version in (
        (TENANT, "nothing", None),
        (TENANT, "other", "production"),
        (TENANT, "digits", "staging"),
        (TENANT, "digits", "4"),
        (TENANT, "digits", "01"),
        (TENANT, "digits", "9" * 40),
        ("another", "digits", None),
        ("another", "digits", "2"),
        ("another", "digits", "production"),
    ):
        with pytest.raises(NotFound, match=f"{name}"):
            store.models.resolve(tenant, name, version)
    assert store.models.versions("another", "digits") == []
