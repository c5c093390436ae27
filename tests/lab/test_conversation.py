from __future__ import annotations

from llmflowlab.lab.conversation import ChatHistory, Exchange


def words(text: str) -> int:
    return len(text.split())


def talked(exchanges: int) -> ChatHistory:
    conversation = ChatHistory(words)
    for number in range(exchanges):
        conversation.add(f"q{number} " + "x " * 9, f"a{number} " + "y " * 9)
    return conversation


def test_everything_is_sent_while_the_window_is_unknown() -> None:
    fitted = talked(50).fit("now", system=None, window=None, max_tokens=None)
    assert len(fitted.messages) == 101
    assert fitted.newly_dropped == 0
    assert (fitted.messages[-1].role, fitted.messages[-1].content) == ("user", "now")


def test_an_unknown_window_has_a_default() -> None:
    conversation = talked(3)
    conversation.exchanges[0] = Exchange("x " * 20_000, "y " * 20_000)
    fitted = conversation.fit("now", system=None, window=None, max_tokens=None)
    assert fitted.newly_dropped == 1
    assert len(fitted.messages) == 5


def test_the_oldest_exchanges_are_dropped_once_and_stay_dropped() -> None:
    conversation = talked(10)
    # Ten exchanges of 28 (two texts of 10 and 4 each), the prompt 5, room for the answer 100.
    first = conversation.fit("now", system=None, window=245, max_tokens=100)
    assert first.newly_dropped == 5
    assert first.messages[0].content.startswith("q5 ")
    again = conversation.fit("now", system=None, window=245, max_tokens=100)
    assert again.newly_dropped == 0
    assert again.messages == first.messages
    assert conversation.dropped == 5


def test_the_system_prompt_takes_room_as_well() -> None:
    without = talked(10).fit("now", system=None, window=245, max_tokens=100)
    system = talked(10).fit("now", system="s " * 30, window=245, max_tokens=100)
    assert system.newly_dropped == without.newly_dropped + 2


def test_a_prompt_that_alone_is_too_long_is_sent_all_the_same() -> None:
    fitted = talked(3).fit("p " * 500, system=None, window=100, max_tokens=None)
    assert [message.role for message in fitted.messages] == ["user"]
    assert fitted.newly_dropped == 3


def test_a_token_limit_as_large_as_the_window_leaves_room_for_the_conversation() -> None:
    fitted = talked(2).fit("now", system=None, window=400, max_tokens=400)
    assert fitted.newly_dropped == 0


def test_half_is_dropped_when_the_provider_calls_it_too_long() -> None:
    conversation = talked(3)
    dropped = []
    while (shorter := conversation.drop_half("now")) is not None:
        dropped.append(shorter.newly_dropped)
    assert dropped == [2, 1]


def test_undo_takes_the_last_exchange_and_says_when_there_is_none() -> None:
    conversation = talked(1)
    conversation.drop_half("now")
    taken = conversation.undo()
    assert taken is not None
    assert taken.prompt.startswith("q0")
    assert conversation.dropped == 0
    assert conversation.undo() is None


def test_another_model_gets_the_whole_conversation_again() -> None:
    conversation = talked(3)
    conversation.drop_half("now")
    conversation.reconsider()
    assert len(conversation.fit("now", system=None, window=None, max_tokens=None).messages) == 7


def test_a_loaded_conversation_takes_the_place_of_the_old_one() -> None:
    conversation = talked(3)
    conversation.replace([Exchange("hello", "hi")])
    fitted = conversation.fit("now", system=None, window=None, max_tokens=None)
    assert [m.content for m in fitted.messages] == ["hello", "hi", "now"]
