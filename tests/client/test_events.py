import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from client.events import STORY, Event, parse
from store.lifecycle import EVENTS

STREAM = (
    b": hello\n\n"
    b"id: 1\nevent: queued\ndata: {}\n\n"
    b"retry: 500\n\n"
    b'id:2\r\nevent:epoch\r\ndata:{"epoch": 1,\r\ndata: "train_loss": null}\r\n\r\n'
    + 'id: 3\nevent: note\ndata: "a\u2028b\x85c"\n\n'.encode()
    + b"event: nameless\ndata: {}\n\n"
    b"id: 4\nevent: succeeded\ndata: {}\n\n"
    b"id: 5\nevent: cut off"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_do_not_depend_on_how_the_bytes_arrive(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    events = list(parse(STREAM[start:end] for start, end in pairwise(ends)))
    assert [(event.number, event.type) for event in events] == [
        (1, "queued"),
        (2, "epoch"),
        (3, "note"),
        (4, "succeeded"),
    ]
    assert events[1].data == {"epoch": 1, "train_loss": None}
    assert json.dumps(events[2].data) == json.dumps("a\u2028b\x85c")
    assert events[3].last


def test_only_epochs_have_metrics() -> None:
    epoch = Event(2, "epoch", {"epoch": 1, "train_loss": 0.5}).epoch
    assert epoch is not None
    assert epoch.train_loss == 0.5
    assert Event(1, "queued", {}).epoch is None


def test_a_story_is_of_everything_but_the_steady_progress() -> None:
    assert set(STORY) == set(EVENTS) - {"epoch", "checkpoint", "part"}
