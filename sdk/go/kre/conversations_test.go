package kre

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

const (
	protocolFolder = "../../../protocol"
	typePrefix     = "type.googleapis.com/"
)

var (
	engineKinds = map[string]frame.Kind{
		"HELLO": frame.Hello, "DELIVER": frame.Deliver, "CANCEL": frame.Cancel, "DONE": frame.Done,
		"DOCUMENT": frame.Document, "FAILED": frame.Failed, "STOP": frame.Stop,
		"CREDIT": frame.Credit,
	}
	hostKinds = map[frame.Kind]string{
		frame.Ready: "READY", frame.Broken: "BROKEN", frame.Result: "RESULT", frame.EarlyReply: "EARLY_REPLY",
		frame.Log: "LOG", frame.Measurement: "MEASUREMENT", frame.Save: "SAVE", frame.Find: "FIND",
		frame.Message: "MESSAGE",
	}
	statusNames = []string{"answer", "none", "error", "cancelled", "too_large"}
	levelNames  = []string{"debug", "info", "warn", "error", "plain"}
)

// conversation is a file of protocol/conversations.
type conversation struct {
	Hello   map[string]any
	Init    string
	Handler string
	Frames  []json.RawMessage
	Exit    int
	Stderr  string
}

// spoken is a frame from the engine in a conversation.
type spoken struct {
	Engine   string
	Raw      string
	ID       uint32
	Body     *string
	Flags    byte
	Workflow uint16
	Request  *string
	Metadata json.RawMessage
	Message  string
	Any      *struct{ Type, Value string }
	JSON     json.RawMessage
	Document json.RawMessage
	Text     string
}

func TestConversations(t *testing.T) {
	for _, file := range conversationFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { play(t, file) })
	}
}

func TestEveryNameInTheConversationsIsImplemented(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(protocolFolder, "conversations", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "\n## Handlers\n")
	handlers, inits, _ := strings.Cut(text, "\n## Inits\n")
	expect(t, namesIn(handlers), strings.Join(sorted(conversationHandlers()), " "))
	expect(t, namesIn(inits), strings.Join(sorted(conversationInits), " "))
}

// namesIn lists the names in the first column of a table.
func namesIn(text string) string {
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(text, -1) {
		names = append(names, row[1])
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

func conversationFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(protocolFolder, "conversations", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no conversations: %v", err)
	}
	return files
}

func play(t *testing.T, file string) {
	var script conversation
	load(t, file, &script)
	handler, known := conversationHandlers()[script.Handler]
	expect(t, known, true)
	handlerInit, known := conversationInits[script.Init]
	expect(t, known, script.Init != "")
	hello := helloOf(t, script)
	engine, read := begin(t, hello, handlerInit, handler), messageFields
	if hello["payload"] == frame.JSON {
		read = plainFields
	}
	for _, entry := range script.Frames {
		var expected map[string]any
		parse(t, entry, &expected)
		if _, is := expected["worker"]; is {
			compare(t, expected, fieldsOf(t, engine.Next(), read))
		} else {
			say(t, engine, entry)
		}
	}
	expect(t, engine.End(), script.Exit)
	if stderr := engine.Stderr.String(); !strings.Contains(stderr, script.Stderr) {
		t.Fatalf("no %q in %q", script.Stderr, stderr)
	}
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parse(t, data, into)
}

// parse parses JSON and keeps numbers as written.
func parse(t *testing.T, data []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}

func helloOf(t *testing.T, script conversation) map[string]any {
	t.Helper()
	var hello map[string]any
	load(t, filepath.Join(protocolFolder, "hello.json"), &hello)
	for key, value := range script.Hello {
		hello[key] = value
		if value == nil {
			delete(hello, key)
		}
	}
	return hello
}

// say sends a frame as the engine.
func say(t *testing.T, engine *enginetest.Engine, entry []byte) {
	t.Helper()
	var said spoken
	parse(t, entry, &said)
	switch kind, known := engineKinds[said.Engine]; {
	case said.Raw != "":
		engine.Write(unhex(t, said.Raw))
	case said.Engine == "LEAVE":
		engine.Close()
	case known:
		engine.Send(kind, said.ID, bodyOf(t, kind, said))
	default:
		t.Fatalf("no runner knows what this is: %s", entry)
	}
}

func bodyOf(t *testing.T, kind frame.Kind, said spoken) []byte {
	t.Helper()
	switch {
	case said.Body != nil:
		return unhex(t, *said.Body)
	case kind == frame.Deliver:
		return deliveryOf(t, said)
	case said.Document != nil:
		return said.Document
	default:
		return []byte(said.Text)
	}
}

func deliveryOf(t *testing.T, said spoken) []byte {
	t.Helper()
	request := "request"
	if said.Request != nil {
		request = *said.Request
	}
	body := binary.LittleEndian.AppendUint16([]byte{said.Flags}, said.Workflow)
	body = binary.LittleEndian.AppendUint16(append(body, byte(len(request))), uint16(len(said.Metadata)))
	body = append(append(body, request...), said.Metadata...)
	if said.JSON != nil {
		return append(body, said.JSON...)
	}
	packed, err := anypb.New(wrapperspb.String(said.Message))
	if said.Any != nil {
		packed = &anypb.Any{TypeUrl: typePrefix + said.Any.Type, Value: unhex(t, said.Any.Value)}
	}
	if err == nil {
		body, err = proto.MarshalOptions{}.MarshalAppend(body, packed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func unhex(t *testing.T, digits string) []byte {
	t.Helper()
	data, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// compare compares the fields of a worker's frame with those in the conversation.
func compare(t *testing.T, expected, received map[string]any) {
	t.Helper()
	for key, value := range expected {
		if key == "contains" {
			for _, part := range value.([]any) {
				if !strings.Contains(received["text"].(string), part.(string)) {
					t.Fatalf("no %q in %v", part, received)
				}
			}
		} else if got, there := received[key]; !there || !reflect.DeepEqual(alike(got), alike(value)) {
			t.Fatalf("`%s` is %v, not %v, in %v", key, got, value, received)
		}
	}
	for _, key := range []string{"time", "start", "end", "pid"} {
		if value, there := received[key]; there && whole(t, value) <= 0 {
			t.Fatalf("`%s` is no time in %v", key, received)
		}
	}
	if start, there := received["start"]; there && whole(t, start) > whole(t, received["end"]) {
		t.Fatalf("it ends before it starts: %v", received)
	}
}

// reader splits a message into fields, with the names of the conversations.
type reader func(t *testing.T, encoded []byte) map[string]any

// fieldsOf splits a worker's frame into fields, with the names of the conversations.
func fieldsOf(t *testing.T, from enginetest.Frame, read reader) map[string]any {
	t.Helper()
	fields := bodyFields(t, from, read)
	fields["worker"], fields["id"] = hostKinds[from.Kind], from.ID
	return asJSON(t, fields)
}

func bodyFields(t *testing.T, from enginetest.Frame, read reader) map[string]any {
	t.Helper()
	switch from.Kind {
	case frame.Broken:
		return map[string]any{"text": string(from.Body)}
	case frame.Result:
		return resultFields(t, from, read)
	case frame.EarlyReply, frame.Message:
		return read(t, from.Body)
	case frame.Log:
		return map[string]any{
			"level": levelNames[from.Body[0]],
			"time":  binary.LittleEndian.Uint64(from.Body[1:]),
			"text":  string(from.Body[9:]),
		}
	default:
		var fields map[string]any
		parse(t, from.Body, &fields)
		return fields
	}
}

func resultFields(t *testing.T, from enginetest.Frame, read reader) map[string]any {
	t.Helper()
	result := enginetest.ParseResult(from)
	fields := map[string]any{}
	switch result.Status {
	case frame.Answer:
		fields = read(t, result.Last)
	case frame.Error:
		fields["text"] = string(result.Last)
	case frame.TooLarge:
		fields["size"] = binary.LittleEndian.Uint64(result.Last)
	default:
		expect(t, len(result.Last), 0)
	}
	fields["status"], fields["early_exit"] = statusNames[result.Status], result.EarlyExit
	fields["whole"] = result.Whole
	fields["start"] = binary.LittleEndian.Uint64(from.Body[2:])
	fields["end"] = binary.LittleEndian.Uint64(from.Body[10:])
	return fields
}

func messageFields(t *testing.T, encoded []byte) map[string]any {
	t.Helper()
	packed, text := &anypb.Any{}, &wrapperspb.StringValue{}
	if err := proto.Unmarshal(encoded, packed); err != nil {
		t.Fatal(err)
	}
	name, prefixed := strings.CutPrefix(packed.TypeUrl, typePrefix)
	expect(t, prefixed, true)
	fields := map[string]any{"any": map[string]any{"type": name, "value": hex.EncodeToString(packed.Value)}}
	if packed.UnmarshalTo(text) == nil {
		fields["message"] = text.Value
	}
	return fields
}

func plainFields(t *testing.T, encoded []byte) map[string]any {
	t.Helper()
	var value any
	parse(t, encoded, &value)
	return map[string]any{"json": value}
}

// asJSON converts a value to the form of a conversation.
func asJSON(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	parse(t, data, &read)
	return read
}

// alike normalises the numbers of a JSON value to integers or floats, independent of their notation.
func alike(value any) any {
	switch value := value.(type) {
	case json.Number:
		if integer, err := value.Int64(); err == nil {
			return integer
		}
		float, _ := value.Float64()
		return float
	case []any:
		made := make([]any, len(value))
		for index, item := range value {
			made[index] = alike(item)
		}
		return made
	case map[string]any:
		made := make(map[string]any, len(value))
		for key, item := range value {
			made[key] = alike(item)
		}
		return made
	}
	return value
}

func whole(t *testing.T, value any) int64 {
	t.Helper()
	number, is := value.(json.Number)
	integer, err := number.Int64()
	if !is || err != nil {
		t.Fatalf("%v is no whole number", value)
	}
	return integer
}
