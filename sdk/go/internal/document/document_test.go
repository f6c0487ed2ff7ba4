package document

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type ObjectID [12]byte

type UUID [16]byte

type labelled struct{ name string }

func (l labelled) MarshalText() ([]byte, error) { return []byte("label " + l.name), nil }

func (l *labelled) UnmarshalText(text []byte) error {
	l.name = strings.TrimPrefix(string(text), "label ")
	return nil
}

type Base struct {
	ID string `bson:"_id"`
}

type thing struct {
	Base
	Name    string `json:"name" bson:"title"`
	Count   int32  `json:"count,omitempty"`
	Ratio   float64
	Made    time.Time         `json:"made,omitempty"`
	Tags    []string          `bson:"tags"`
	Inner   map[string]*inner `json:"inner,omitempty"`
	Hidden  string            `json:"-"`
	private int
}

type inner struct{ Deep bool }

var day = time.Date(2024, 2, 29, 12, 30, 15, 250_999_999, time.FixedZone("there", -7200))

func TestValues(t *testing.T) {
	var nothing *int
	rows := []struct {
		value    interface{}
		expected string
	}{
		{nil, "null"}, {nothing, "null"}, {[]int(nil), "null"}, {true, "true"},
		{"naïve ☃ \"\\\n\x01", `"naïve ☃ \"\\\n\u0001"`},
		{int8(-7), "-7"}, {int64(math.MaxInt64), "9223372036854775807"}, {uint16(9), "9"},
		{7.0, "7.0"}, {-0.5, "-0.5"}, {1e300, "1e+300"}, {float32(0.1), "0.1"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{math.NaN(), `{"$numberDouble":"NaN"}`}, {math.Inf(-1), `{"$numberDouble":"-Infinity"}`},
		{math.Inf(1), `{"$numberDouble":"Infinity"}`},
		{day, `{"$date":"2024-02-29T14:30:15.250Z"}`},
		{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), `{"$date":{"$numberLong":"-1000"}}`},
		{[]byte("\x00\xff"), `{"$binary":{"base64":"AP8=","subType":"00"}}`},
		{ObjectID{0x65, 11: 1}, `{"$oid":"650000000000000000000001"}`},
		{UUID{1}, `{"$binary":{"base64":"AQAAAAAAAAAAAAAAAAAAAA==","subType":"04"}}`},
		{json.Number("12"), "12"}, {json.Number("12.0"), "12.0"}, {json.RawMessage(`{"a": [1]}`), `{"a":[1]}`},
		{labelled{"x"}, `"label x"`}, {[]interface{}{1, "a", nil}, `[1,"a",null]`},
		{map[int]string{2: "b", 1: "a"}, `{"1":"a","2":"b"}`},
		{thing{Base: Base{"i"}, Name: "n", Hidden: "h", private: 1}, `{"_id":"i","name":"n","Ratio":0.0,"tags":null}`},
		{thing{Made: day, Inner: map[string]*inner{"a": {true}}, Tags: []string{}},
			`{"_id":"","name":"","Ratio":0.0,"made":{"$date":"2024-02-29T14:30:15.250Z"},"tags":[],"inner":{"a":{"Deep":true}}}`},
	}
	for _, row := range rows {
		encoded, err := Encode(map[string]interface{}{"v": row.value})
		if err != nil || string(encoded) != `{"v":`+row.expected+"}" {
			t.Errorf("%v: %s, %v", row.value, encoded, err)
		}
		if err == nil && !json.Valid(encoded) {
			t.Errorf("%s is no JSON", encoded)
		}
	}
}

// Chain embeds itself.
type Chain struct {
	*Chain
	Link int `json:"link"`
}

// also has the same field as inner.
type also struct{ Deep string }

// shadowed has a field name of Base, and another name twice at the same depth.
type shadowed struct {
	*Base
	Chain
	inner
	also
	ID    string `json:"_id"`
	Link  *Chain
	Large int64  `json:"large,string"`
	Sure  *bool  `json:"sure,string"`
	Word  string `json:"word,omitempty,string"`
}

func TestFieldsFollowTheRulesOfGo(t *testing.T) {
	sure := true
	rows := []struct {
		value    interface{}
		expected string
	}{
		{shadowed{ID: "own", Chain: Chain{Link: 1}}, `{"link":1,"_id":"own","Link":null,"large":0,"sure":null}`},
		{shadowed{Base: &Base{"base"}, Link: &Chain{Chain: &Chain{}}, Sure: &sure},
			`{"link":0,"_id":"","Link":{"link":0},"large":0,"sure":true}`},
	}
	for _, row := range rows {
		encoded, err := Encode(row.value)
		if err != nil || string(encoded) != row.expected {
			t.Errorf("%s, %v", encoded, err)
		}
	}
	var read struct {
		*Base
		Chain
	}
	if err := Decode([]byte(`{"_id":"i","link":7}`), reflect.ValueOf(&read).Elem()); err != nil || read.ID != "i" || read.Link != 7 {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestUnsupportedValuesAreNamed(t *testing.T) {
	var deep interface{}
	for count := 0; count < 200; count++ {
		deep = []interface{}{deep}
	}
	hint := "; hint: store its fields, or its text"
	rows := []struct {
		value interface{}
		words string
	}{
		{map[string]interface{}{"list": []interface{}{1, make(chan int)}}, "`v.list[1]` is a `chan int`, which cannot be stored" + hint},
		{func() {}, "`v` is a `func()`, which cannot be stored" + hint},
		{uint64(math.MaxUint64), "`v` is 1.845e+19, more than 64 bits hold; hint: store it as text or a float"},
		{"\xff", "`v` is no valid text: it is not UTF-8"},
		{map[float64]int{1.5: 1}, "a key in `v` is 1.5, a `float64`; hint: make it a text"},
		{map[string]int{"a\x00": 1}, `the key "v.a\x00" has a null character`},
		{json.Number("x"), "`v` is no number: \"x\""},
	}
	for _, row := range rows {
		if _, err := Encode(map[string]interface{}{"v": row.value}); err == nil || err.Error() != row.words {
			t.Errorf("%v: %v", row.value, err)
		}
	}
	if _, err := Encode(map[string]interface{}{"v": deep}); err == nil || !strings.HasSuffix(err.Error(), "is nested more than 100 levels deep") {
		t.Error(err)
	}
	for _, value := range []interface{}{nil, 7, "text", []int{1}, time.Now(), (*thing)(nil), map[string]int(nil)} {
		if _, err := Encode(value); err != ErrNoDocument {
			t.Errorf("%v: %v", value, err)
		}
	}
}

func TestDocumentsAsStructs(t *testing.T) {
	text := `{"_id":{"$oid":"650000000000000000000001"},"title":"n","count":3,"ratio":2,"made":{"$date":"2024-02-29T14:30:15.25Z"},
		"tags":["a","b"],"inner":{"x":{"deep":true},"y":null},"other":1}`
	var got thing
	if err := Decode([]byte(text), reflect.ValueOf(&got).Elem()); err != nil {
		t.Fatal(err)
	}
	expected := thing{
		Base: Base{"650000000000000000000001"}, Name: "n", Count: 3, Ratio: 2, Tags: []string{"a", "b"},
		Made: day.UTC().Truncate(time.Millisecond), Inner: map[string]*inner{"x": {true}, "y": nil},
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("%+v", got)
	}
}

func TestDocumentsAsMaps(t *testing.T) {
	text := `{"i":7,"f":7.0,"l":{"$numberLong":"8"},"n":{"$numberDouble":"NaN"},"d":{"$date":-1000},"b":{"$binary":{"base64":"AP8=","subType":"00"}},
		"o":{"$oid":"65"},"t":"x","z":null,"a":[1,{"$oid":"66"}],"m":{"k":{"$oid":"67"}},"dec":{"$numberDecimal":"1.5"},"q":{"$gt":1}}`
	var got map[string]interface{}
	if err := Decode([]byte(text), reflect.ValueOf(&got).Elem()); err != nil {
		t.Fatal(err)
	}
	if number, is := got["n"].(float64); !is || !math.IsNaN(number) {
		t.Errorf("%v", got["n"])
	}
	delete(got, "n")
	expected := map[string]interface{}{
		"i": int64(7), "f": 7.0, "l": int64(8), "d": time.Unix(-1, 0).UTC(), "b": []byte("\x00\xff"), "o": "65",
		"t": "x", "z": nil, "a": []interface{}{int64(1), "66"}, "m": map[string]interface{}{"k": "67"}, "dec": "1.5",
		"q": map[string]interface{}{"$gt": int64(1)},
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("%#v", got)
	}
}

func TestCompatibleValues(t *testing.T) {
	type date int64
	rows := []struct {
		text string
		into interface{}
		want interface{}
	}{
		{"7", new(int8), int8(7)}, {"7.0", new(int), 7}, {"7", new(float32), float32(7)}, {"7", new(uint8), uint8(7)},
		{`"x"`, new(*string), nil}, {`"label y"`, new(labelled), labelled{"y"}},
		{`{"$date":1500}`, new(date), date(1500)}, {`"2024-01-01T00:00:00Z"`, new(time.Time), time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		{`{"$oid":"650000000000000000000001"}`, new(ObjectID), ObjectID{0x65, 11: 1}},
		{`{"$binary":{"base64":"AP8=","subType":"00"}}`, new([2]byte), [2]byte{0, 255}},
		{"[1,2]", new([2]int), [2]int{1, 2}}, {`{"a":1}`, new(map[string]int), map[string]int{"a": 1}}, {"null", new(int), 0},
	}
	for _, row := range rows {
		target := reflect.New(reflect.MapOf(reflect.TypeOf(""), reflect.TypeOf(row.into).Elem())).Elem()
		if err := Decode([]byte(`{"v":`+row.text+"}"), target); err != nil {
			t.Errorf("%s: %v", row.text, err)
			continue
		}
		got := target.MapIndex(reflect.ValueOf("v")).Interface()
		if pointer, is := got.(*string); is && *pointer == "x" {
			continue
		}
		if !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %v", row.text, got)
		}
	}
}

func TestMismatchesAreNamed(t *testing.T) {
	rows := []struct {
		text  string
		into  interface{}
		words string
	}{
		{`"x"`, new(int), "`v` is x, which does not fit a `int`"},
		{"300", new(int8), "`v` is 300, which does not fit a `int8`"},
		{"-1", new(uint), "`v` is -1, which does not fit a `uint`"},
		{"1.5", new(int), "`v` is 1.5, which does not fit a `int`"},
		{`{"w":[1,"x"]}`, new(map[string][]int), "`v.w[1]` is x, which does not fit a `int`"},
		{"[1]", new([2]int), "`v` is [1], which does not fit a `[2]int`"},
	}
	for _, row := range rows {
		target := reflect.New(reflect.MapOf(reflect.TypeOf(""), reflect.TypeOf(row.into).Elem())).Elem()
		if err := Decode([]byte(`{"v":`+row.text+"}"), target); fmt.Sprint(err) != row.words {
			t.Errorf("%s: %v", row.text, err)
		}
	}
}

func FuzzTextIsJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\xff\"\\\u2028\x00")
	f.Fuzz(func(t *testing.T, text string) {
		var read string
		if err := json.Unmarshal(Text(text), &read); err != nil {
			t.Fatal(err)
		}
		if expected := string([]rune(text)); read != expected {
			t.Fatalf("%q became %q", text, read)
		}
	})
}
