// Package document turns Go's values into MongoDB Extended JSON v2, relaxed, and back.
//
// What cannot be stored is an error that names the field, since "unsupported type" sends a user
// searching through the whole document.
package document

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// deepest is how deep MongoDB nests documents.
	deepest     = 100
	genericType = "00"
	uuidType    = "04"
	dateLayout  = "2006-01-02T15:04:05.000Z"
)

// ErrNoDocument says that a value is neither a map nor a struct.
var ErrNoDocument = errors.New("it is no document")

var (
	timeType   = reflect.TypeOf(time.Time{})
	numberType = reflect.TypeOf(json.Number(""))
)

// Encode writes a document: a map with text keys, a struct, or a pointer to one.
func Encode(value any) ([]byte, error) {
	top := settle(reflect.ValueOf(value))
	if !top.IsValid() || top.Type() == timeType || top.Kind() != reflect.Map && top.Kind() != reflect.Struct {
		return nil, ErrNoDocument
	}
	e := encoder{out: make([]byte, 0, 256)}
	if err := e.value(top, "", 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

// encoder appends to out. Paths are those of the values in the document.
type encoder struct {
	out []byte
}

func (e *encoder) value(value reflect.Value, path string, depth int) error {
	value = settle(value)
	if !value.IsValid() {
		e.add("null")
		return nil
	}
	if special, err := e.special(value, path); special || err != nil {
		return err
	}
	switch value.Kind() {
	case reflect.Bool:
		e.out = strconv.AppendBool(e.out, value.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = AppendInt(e.out, value.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return e.unsigned(value.Uint(), path)
	case reflect.Float32:
		return e.float(Shortest(float32(value.Float())))
	case reflect.Float64:
		return e.float(value.Float())
	case reflect.String:
		return e.text(value.String(), path)
	case reflect.Map, reflect.Struct, reflect.Slice, reflect.Array:
		if depth >= deepest {
			return fmt.Errorf("`%s` is nested more than %d levels deep", path, deepest)
		}
		return e.nested(value, path, depth+1)
	default:
		return fmt.Errorf("`%s` is a `%s`, which cannot be stored; hint: store its fields, or its text", path, value.Type())
	}
	return nil
}

// special writes values that are more than their kind says.
func (e *encoder) special(value reflect.Value, path string) (bool, error) {
	kind := value.Type()
	switch {
	case kind == timeType:
		e.date(value.Interface().(time.Time))
	case kind == numberType:
		return true, e.number(value.String(), path)
	case kind.Kind() == reflect.Array && kind.Elem().Kind() == reflect.Uint8:
		return e.array(value), nil
	case !value.CanInterface():
		return false, nil
	default:
		return e.marshaler(addressable(value).Interface(), path)
	}
	return true, nil
}

// marshaler writes what a type of the user's makes of itself.
func (e *encoder) marshaler(value any, path string) (bool, error) {
	switch value := value.(type) {
	case json.Marshaler:
		made, err := value.MarshalJSON()
		var compact bytes.Buffer
		if err == nil {
			err = json.Compact(&compact, made)
		}
		if err != nil {
			return true, fmt.Errorf("`%s` cannot be stored: %w", path, err)
		}
		e.out = append(e.out, compact.Bytes()...)
		return true, nil
	case encoding.TextMarshaler:
		made, err := value.MarshalText()
		if err != nil {
			return true, fmt.Errorf("`%s` cannot be stored: %w", path, err)
		}
		return true, e.text(string(made), path)
	}
	return false, nil
}

func (e *encoder) nested(value reflect.Value, path string, depth int) error {
	switch value.Kind() {
	case reflect.Map:
		return e.mapping(value, path, depth)
	case reflect.Struct:
		return e.structure(value, path, depth)
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			e.binary(value.Bytes(), genericType)
			return nil
		}
	}
	e.add("[")
	for index := 0; index < value.Len(); index++ {
		if index > 0 {
			e.add(",")
		}
		if err := e.value(value.Index(index), fmt.Sprintf("%s[%d]", path, index), depth); err != nil {
			return err
		}
	}
	e.add("]")
	return nil
}

func (e *encoder) mapping(value reflect.Value, path string, depth int) error {
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, value.Len())
	for iterator := value.MapRange(); iterator.Next(); {
		key, err := keyText(iterator.Key(), path)
		if err != nil {
			return err
		}
		entries = append(entries, entry{key, iterator.Value()})
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].key < entries[j].key })
	e.add("{")
	for index, entry := range entries {
		if err := e.member(index == 0, entry.key, entry.value, path, depth); err != nil {
			return err
		}
	}
	e.add("}")
	return nil
}

func (e *encoder) structure(value reflect.Value, path string, depth int) error {
	e.add("{")
	first := true
	for _, field := range fieldsOf(value.Type()) {
		inner := value.FieldByIndex(field.index)
		if field.omit && isEmpty(inner) {
			continue
		}
		if err := e.member(first, field.name, inner, path, depth); err != nil {
			return err
		}
		first = false
	}
	e.add("}")
	return nil
}

func (e *encoder) member(first bool, key string, value reflect.Value, path string, depth int) error {
	inner := key
	if path != "" {
		inner = path + "." + key
	}
	if strings.ContainsRune(key, 0) {
		return fmt.Errorf("the key %q has a null character", inner)
	}
	if !first {
		e.add(",")
	}
	if err := e.text(key, inner); err != nil {
		return err
	}
	e.add(":")
	return e.value(value, inner, depth)
}

func (e *encoder) add(text string) {
	e.out = append(e.out, text...)
}

func (e *encoder) text(text, path string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("`%.200q` is no valid text: it is not UTF-8", path)
	}
	e.out = appendText(e.out, text)
	return nil
}

func (e *encoder) unsigned(number uint64, path string) error {
	if number > math.MaxInt64 {
		return fmt.Errorf("`%s` is %.3e, more than 64 bits hold; hint: store it as text or a float", path, float64(number))
	}
	e.out = AppendInt(e.out, int64(number))
	return nil
}

func (e *encoder) number(text, path string) error {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		e.out = AppendInt(e.out, whole)
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("`%s` is no number: %q", path, text)
	}
	return e.float(number)
}

func (e *encoder) float(number float64) error {
	switch {
	case math.IsNaN(number):
		e.add(`{"$numberDouble":"NaN"}`)
	case math.IsInf(number, 1):
		e.add(`{"$numberDouble":"Infinity"}`)
	case math.IsInf(number, -1):
		e.add(`{"$numberDouble":"-Infinity"}`)
	default:
		e.out = AppendFloat(e.out, number)
	}
	return nil
}

func (e *encoder) date(moment time.Time) {
	moment = moment.UTC()
	e.add(`{"$date":`)
	if year := moment.Year(); year < 1970 || year > 9999 {
		e.add(`{"$numberLong":"`)
		e.out = AppendInt(e.out, moment.UnixMilli())
		e.add(`"}}`)
		return
	}
	e.add(`"`)
	e.out = moment.AppendFormat(e.out, dateLayout)
	e.add(`"}`)
}

// array writes an array of bytes, if it is one of the ids that are kept as such.
func (e *encoder) array(value reflect.Value) bool {
	content := make([]byte, value.Len())
	reflect.Copy(reflect.ValueOf(content), value)
	switch name := value.Type().Name(); {
	case name == "ObjectID" && len(content) == 12:
		e.add(`{"$oid":"` + hex.EncodeToString(content) + `"}`)
	case name == "UUID" && len(content) == 16:
		e.binary(content, uuidType)
	default:
		e.binary(content, genericType)
	}
	return true
}

func (e *encoder) binary(content []byte, subtype string) {
	e.add(`{"$binary":{"base64":"`)
	e.add(base64.StdEncoding.EncodeToString(content))
	e.add(`","subType":"` + subtype + `"}}`)
}

// settle follows pointers and interfaces to what they hold; the zero Value is nothing.
func settle(value reflect.Value) reflect.Value {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
		value = value.Elem()
	}
	if kind := value.Kind(); (kind == reflect.Map || kind == reflect.Slice) && value.IsNil() {
		return reflect.Value{}
	}
	return value
}

// addressable gives the value's pointer where methods may have one as receiver.
func addressable(value reflect.Value) reflect.Value {
	if value.CanAddr() {
		return value.Addr()
	}
	copied := reflect.New(value.Type())
	copied.Elem().Set(value)
	return copied
}

func keyText(key reflect.Value, path string) (string, error) {
	switch {
	case key.Kind() == reflect.String:
		return key.String(), nil
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	if marshaler, is := key.Interface().(encoding.TextMarshaler); is {
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	where := "at the top"
	if path != "" {
		where = "in `" + path + "`"
	}
	return "", fmt.Errorf("a key %s is %v, a `%s`; hint: make it a text", where, key, key.Type())
}

func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return value.Len() == 0
	case reflect.Struct:
		return value.Type() == timeType && value.IsZero()
	default:
		return value.IsZero()
	}
}

// Shortest is the double that is written as the float is.
func Shortest(number float32) float64 {
	same, err := strconv.ParseFloat(strconv.FormatFloat(float64(number), 'g', -1, 32), 64)
	if err != nil {
		return float64(number)
	}
	return same
}
