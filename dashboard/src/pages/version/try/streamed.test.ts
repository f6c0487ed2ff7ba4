import { expect, test } from "vitest";
import { follow, MOST, NOTHING, stopped } from "./streamed";

const event = (name: string, data: unknown) => ({ name, data: JSON.stringify(data) });
const status = { ok: true, code: "OK", message: null, elapsed_ms: 3, request: "1" };

test("messages, then the status", () => {
  const events = [event("request", "1"), event("message", { text: "a" }), event("message", {})];
  const open = events.reduce((answer, one) => follow(answer, one, 1), NOTHING);
  const latest = [
    { number: 1, text: '{"text":"a"}' },
    { number: 2, text: "{}" },
  ];
  expect(open).toEqual({ request: "1", count: 2, latest, ended: null });
  const ended = follow(open, event("status", status), 3);
  expect(ended).toEqual({ ...open, ended: status });
  expect(stopped(ended, "CANCELLED", "too late", 4)).toBe(ended);
});

test("only the latest messages are kept", () => {
  let answer = NOTHING;
  for (let number = 0; number < MOST + 2; number += 1) answer = follow(answer, event("message", number), 1);
  expect([answer.count, answer.latest.length, answer.latest[0]]).toEqual([
    MOST + 2,
    MOST,
    { number: 3, text: "2" },
  ]);
});

test("a stream that is cut off has a status", () => {
  const begun = follow(NOTHING, event("request", "1"), 1);
  const ended = { ok: false, elapsed_ms: 2, request: "1" };
  expect(follow(begun, event("end", { reason: "the session was ended" }), 2).ended).toEqual({
    ...ended,
    code: "CANCELLED",
    message: "the session was ended",
  });
  expect(stopped(begun, "UNKNOWN", "cut", 2).ended).toEqual({ ...ended, code: "UNKNOWN", message: "cut" });
});
