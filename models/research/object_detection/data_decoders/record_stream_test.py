import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import record_stream
from object_detection.data_decoders.sample_records import write_records

COUNTS = {"a": 5, "b": 1, "c": 0, "d": 8}
NAMES = [f"{name}{i}" for name, count in COUNTS.items() for i in range(count)]


@pytest.fixture
def files(tmp_path):
    return tuple(
        write_records(
            tmp_path / name, [f"{name}{i}".encode() for i in range(n)]
        )
        for name, n in COUNTS.items()
    )


def names(dataset, count=None):
    dataset = dataset if count is None else dataset.take(count)
    return [record.serialized.numpy().decode() for record in dataset]


def test_unshuffled_records_come_in_order_with_their_place(files):
    stream = record_stream.RecordStream(files, read_block_length=32)
    assert stream.num_records() == 14
    assert names(stream.dataset()) == NAMES
    record = list(stream.dataset())[8]
    assert int(record.position) == 8
    assert record.path.numpy().decode() == files[3]
    assert int(record.index) == 2


def test_readers_take_turns_in_blocks(files):
    stream = record_stream.RecordStream(
        (files[0], files[3]), num_readers=2, read_block_length=3
    )
    assert names(stream.dataset()) == (
        "a0 a1 a2 d0 d1 d2 a3 a4 d3 d4 d5 d6 d7".split()
    )


def test_epochs(files):
    stream = record_stream.RecordStream(files, num_epochs=2)
    assert names(stream.dataset()) == NAMES * 2
    endless = record_stream.RecordStream(files, num_epochs=0)
    assert names(endless.dataset(), 45) == (NAMES * 4)[:45]


def test_shuffled_epochs_hold_each_record_once_in_changing_order(files):
    stream = record_stream.RecordStream(
        files, num_readers=4, is_shuffled=True, seed=3, num_epochs=2
    )
    both = names(stream.dataset())
    first, second = both[:14], both[14:]
    assert sorted(first) == sorted(second) == NAMES
    assert NAMES != first != second
    assert names(stream.dataset()) == both
    other = record_stream.RecordStream(
        files, num_readers=4, is_shuffled=True, seed=4, num_epochs=2
    )
    assert names(other.dataset()) != both


@pytest.mark.parametrize("start", [1, 13, 14, 20, 28, 39, 41, 42, 100])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_the_stream_can_be_taken_up_anywhere(files, start, is_shuffled):
    stream = record_stream.RecordStream(
        files,
        num_readers=2,
        is_shuffled=is_shuffled,
        shuffle_buffer_size=4,
        num_epochs=3,
    )
    whole = list(stream.dataset())
    rest = list(stream.dataset(start))
    assert [int(record.position) for record in rest] == list(range(start, 42))
    assert names(rest) == names(whole[start:])


def test_the_order_does_not_depend_on_the_global_seed(files):
    stream = record_stream.RecordStream(files, is_shuffled=True, seed=3)
    orders = []
    for global_seed in (0, 1, 2):
        tf.random.set_seed(global_seed)
        orders.append(names(stream.dataset()))
    assert orders[0] == orders[1] == orders[2]


def test_one_of_n_takes_the_same_records_in_every_epoch(files):
    stream = record_stream.RecordStream(
        files, sample_1_of_n_examples=3, is_shuffled=True, num_epochs=2
    )
    both = names(stream.dataset())
    assert stream.num_records() == 5
    assert sorted(both[:5]) == sorted(both[5:]) == NAMES[::3]


@pytest.mark.parametrize("num_shards", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("sample_1_of_n", [1, 3])
def test_shards_are_disjoint_and_complete(files, num_shards, sample_1_of_n):
    shards = []
    for index in range(num_shards):
        stream = record_stream.RecordStream(
            files,
            num_shards=num_shards,
            shard_index=index,
            sample_1_of_n_examples=sample_1_of_n,
            is_shuffled=True,
        )
        shards.append(names(stream.dataset()))
        assert stream.num_records() == len(shards[-1])
    together = [name for shard in shards for name in shard]
    assert len(set(together)) == len(together)
    assert sorted(together) == NAMES[::sample_1_of_n]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_shard_is_a_range_of_the_records(files):
    stream = record_stream.RecordStream(files, num_shards=2, shard_index=1)
    assert names(stream.dataset()) == NAMES[7:]


def test_endless_epochs_of_an_empty_shard_are_refused(files):
    stream = record_stream.RecordStream(
        files, num_shards=20, shard_index=0, num_epochs=0
    )
    with pytest.raises(errors.DataError, match="too few records for 20"):
        stream.dataset()


def test_a_shard_index_out_of_range_is_refused(files):
    with pytest.raises(ValueError, match="shard_index"):
        record_stream.RecordStream(files, num_shards=2, shard_index=2)
