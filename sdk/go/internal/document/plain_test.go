package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

type broken struct{}

func (broken) MarshalText() ([]byte, error) { return nil, errors.New("no label") }

func TestPlainValues(t *testing.T) {
	rows := []struct {
		value    any
		expected string
	}{
		{nil, "null"}, {[]string(nil), "null"}, {(*thing)(nil), "null"}, {true, "true"}, {"é \"\\\n<&>", `"é \"\\\n<&>"`},
		{7, "7"}, {int64(math.MinInt64), "-9223372036854775808"}, {uint64(math.MaxUint64), "18446744073709551615"},
		{7.0, "7"}, {-0.5, "-0.5"}, {math.Copysign(0, -1), "-0"}, {float32(0.1), "0.1"}, {1e-9, "1e-09"},
		{float64(1<<53 - 1), "9007199254740991"}, {float64(1 << 53), "9007199254740992.0"}, {1e17, "100000000000000000.0"},
		{1e300, "1e+300"}, {json.Number("9007199254740993"), "9007199254740993"}, {json.Number("1e3"), "1e3"},
		{[]string{"a", "b"}, `["a","b"]`}, {[2]int{1, 2}, "[1,2]"}, {[2]byte{1, 2}, "[1,2]"}, {[]byte("\x00\xff"), `"AP8="`},
		{map[string]float64{"b": 1, "a": 0.5}, `{"a":0.5,"b":1}`}, {map[int]string{2: "b", 1: "a"}, `{"1":"a","2":"b"}`},
		{map[string]int{"a\x00": 1}, `{"a\u0000":1}`}, {[]any{1, "a", nil, map[string]any{}}, `[1,"a",null,{}]`},
		{day, `"2024-02-29T12:30:15.250999999-02:00"`}, {labelled{"x"}, `"label x"`}, {json.RawMessage(`{"a": [1]}`), `{"a":[1]}`},
		{&thing{Base: Base{"i"}, Name: "n", Hidden: "h", private: 1, Inner: map[string]*inner{"a": {true}}},
			`{"_id":"i","name":"n","Ratio":0,"tags":null,"inner":{"a":{"Deep":true}}}`},
	}
	for _, row := range rows {
		encoded, err := EncodePlain(row.value)
		if err != nil || string(encoded) != row.expected || !json.Valid(encoded) {
			t.Errorf("%v: %s, %v", row.value, encoded, err)
		}
	}
}

func TestStructsMatchEncodingJSON(t *testing.T) {
	sure, moment := true, day.UTC()
	type other struct {
		*also
		Label  labelled
		Labels map[labelled]int `json:"labels,omitempty"`
		When   *time.Time       `json:"when,omitempty"`
		Raw    json.RawMessage  `json:",omitempty"`
		Any    any              `json:"any"`
		hidden chan int
	}
	for _, value := range []any{
		shadowed{ID: "own", Chain: Chain{Link: 1}, Large: 1<<53 + 1, Sure: &sure, Word: "a"},
		shadowed{Link: &Chain{Chain: &Chain{Link: 3}}}, []inner{{true}}, Chain{Chain: &Chain{}, Link: 2},
		other{Label: labelled{"l"}, When: &moment, Raw: json.RawMessage("[1]"), Any: []byte("x"), hidden: nil},
		struct {
			F float32 `json:"f"`
			I interface{ M() }
			U uint8 `json:",string"`
			A [2]*int
		}{F: 0.1},
	} {
		expected, err := json.Marshal(map[string]any{"v": value})
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		encoded, err := EncodePlain(map[string]any{"v": value})
		if err == nil {
			err = errors.Join(json.Unmarshal(encoded, &got), json.Unmarshal(expected, &want))
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, not %s: %v", encoded, expected, err)
		}
	}
}

func TestUnsupportedPlainDataIsNamed(t *testing.T) {
	self := map[string]any{}
	self["v"] = self
	hint := ", not plain data; hint: return its fields, or its text"
	rows := []struct {
		value any
		words string
	}{
		{[]any{1, map[string]any{"w": make(chan int)}}, "field `v[1].w` is a `chan int`" + hint},
		{struct {
			F float64 `json:"f,string"`
		}{math.NaN()}, "field `v.f` is NaN, which JSON does not have"},
		{struct{ F func() }{}, "field `v.F` is a `func()`" + hint}, {1i, "field `v` is a `complex128`" + hint},
		{math.NaN(), "field `v` is NaN, which JSON does not have"}, {[]float64{math.Inf(-1)}, "field `v[0]` is -Inf, which JSON does not have"},
		{float32(math.Inf(1)), "field `v` is +Inf, which JSON does not have"}, {"\xff", "field `v` is no valid text: it is not UTF-8"},
		{map[string]int{"\xff": 1}, "field `v.\uFFFD` is no valid text: it is not UTF-8"},
		{map[float64]int{1.5: 1}, "a key in `v` is 1.5, a `float64`; hint: make it a text"},
		{wrapperspb.String("x"), "field `v` is a `*wrapperspb.StringValue`, a message; hint: this node has `payload: json` in krt.yml, give a map"},
		{broken{}, "field `v` is a `*document.broken`, not plain data: no label"}, {json.Number("NaN"), "field `v` is no number: \"NaN\""},
		{json.Number("true"), "field `v` is no number: \"true\""}, {json.Number(""), "field `v` is no number: \"\""},
		{self, "field `" + strings.Repeat("v.", 99) + "v` is nested more than 100 levels deep"},
	}
	for _, row := range rows {
		if _, err := EncodePlain(map[string]any{"v": row.value}); fmt.Sprint(err) != row.words {
			t.Errorf("%T: %v", row.value, err)
		}
	}
	if _, err := EncodePlain(make(chan int)); fmt.Sprint(err) != "the answer is a `chan int`"+hint {
		t.Error(err)
	}
}

func TestPlainDataIsReadWithoutLoss(t *testing.T) {
	rows := []struct {
		text     string
		expected any
	}{
		{"null", nil}, {"true", true}, {`"é"`, "é"}, {"7", 7.0}, {"-0.5", -0.5}, {"2.0", 2.0}, {"1e17", 1e17}, {"{}", map[string]any{}},
		{"9007199254740991", float64(1<<53 - 1)}, {"9007199254740993", json.Number("9007199254740993")},
		{"-9223372036854775809", json.Number("-9223372036854775809")}, {"9007199254740994.0", float64(1<<53 + 2)},
		{"1e999", json.Number("1e999")}, {`[1,{"a":[null]}]`, []any{1.0, map[string]any{"a": []any{nil}}}},
	}
	for _, row := range rows {
		read, err := DecodePlain([]byte(`{"v":` + row.text + "}"))
		if err != nil || !reflect.DeepEqual(read, map[string]any{"v": row.expected}) {
			t.Errorf("%s: %#v, %v", row.text, read, err)
		}
	}
}

func TestDataOtherThanMaps(t *testing.T) {
	hint := ", not a map of names to values; hint: a handler over *anypb.Any takes them, in a node without `payload: json`"
	rows := []struct{ text, words string }{
		{"", "the data do not parse: EOF"}, {"{", "the data do not parse: unexpected EOF"},
		{`"text"`, `the data are "text"` + hint}, {"null", "the data are null" + hint}, {"[1]", "the data are [1]" + hint},
	}
	for _, row := range rows {
		if read, err := DecodePlain([]byte(row.text)); fmt.Sprint(err) != row.words {
			t.Errorf("%q: %v, %v", row.text, read, err)
		}
	}
}

func FuzzFloatsRoundTrip(f *testing.F) {
	for _, number := range []float64{0, 5, 0.1, 1 << 53, 1e21, -1e-300, math.MaxFloat64} {
		f.Add(number)
	}
	f.Fuzz(func(t *testing.T, number float64) {
		if math.IsNaN(number) || math.IsInf(number, 0) {
			t.Skip()
		}
		text, err := EncodePlain(map[string]any{"v": number})
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodePlain(text)
		if err != nil || read["v"] != number {
			t.Fatalf("%v became %v in %s: %v", number, read["v"], text, err)
		}
	})
}
