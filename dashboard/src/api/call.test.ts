import { expect, test } from "vitest";
import { EventParser } from "./call";

const TEXT = ':\n\nevent: request\ndata: "1"\n\nevent: message\ndata: {"text":"a: b"}\n\ndata:1\ndata: 2\n\n';

test.each([1, 7, TEXT.length])("events in parts of %i characters", (size) => {
  const events = new EventParser();
  const found = [];
  for (let at = 0; at < TEXT.length; at += size) found.push(...events.add(TEXT.slice(at, at + size)));
  expect(found).toEqual([
    { name: "request", data: '"1"' },
    { name: "message", data: '{"text":"a: b"}' },
    { name: "message", data: "1\n2" },
  ]);
});

test("an event that was cut off is ignored", () => {
  expect(new EventParser().add("event: status\ndata: {}\n")).toEqual([]);
});
