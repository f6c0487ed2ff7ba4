package document

import (
	"reflect"
	"strings"
	"sync"
)

// field is a struct field that belongs to a document.
type field struct {
	// name is its name in the document.
	name string
	// names are the names that decoding accepts.
	names []string
	// index leads to it through embedded structs.
	index []int
	// omit leaves out its zero value.
	omit bool
	// quoted makes plain data hold it as a string.
	quoted bool
	// tagged is true if a tag names it.
	tagged bool
}

var known sync.Map // reflect.Type to []field

// fieldsOf lists the fields of a struct by their json tag, else their bson tag, else their own name. Earlier
// versions saved documents by json tags and found them by bson tags.
func fieldsOf(kind reflect.Type) []field {
	if fields, there := known.Load(kind); there {
		return fields.([]field)
	}
	fields := seen(list(kind, nil, nil))
	known.Store(kind, fields)
	return fields
}

// list lists the fields of a struct and of its embedded structs. It skips types that it has already listed,
// since a type may embed itself through a pointer.
func list(kind reflect.Type, above []int, outer []reflect.Type) []field {
	for _, listed := range outer {
		if listed == kind {
			return nil
		}
	}
	outer = append(outer[:len(outer):len(outer)], kind)
	var fields []field
	for number := 0; number < kind.NumField(); number++ {
		part := kind.Field(number)
		index := append(append([]int(nil), above...), number)
		json, bson := tag(part, "json"), tag(part, "bson")
		inlined := part.Anonymous && json.name == "" && bson.name == "" || bson.has("inline")
		switch inner := embedded(part); {
		case json.name == "-" && !json.has(""), json.name == "" && bson.name == "-":
		case inlined && inner != nil:
			fields = append(fields, list(inner, index, outer)...)
		case part.IsExported():
			fields = append(fields, named(part.Name, json, bson, index))
		}
	}
	return fields
}

// embedded returns the struct that a field is or points to, if its fields are accessible.
func embedded(part reflect.StructField) reflect.Type {
	kind := part.Type
	if kind.Kind() == reflect.Pointer && part.IsExported() {
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.Struct {
		return nil
	}
	return kind
}

// seen removes the fields that Go hides among fields of one name: the deeper ones, and ambiguous ones.
func seen(fields []field) []field {
	var kept []field
	for index, candidate := range fields {
		hidden := false
		for other, rival := range fields {
			hidden = hidden || other != index && rival.name == candidate.name && !candidate.hides(rival)
		}
		if !hidden {
			kept = append(kept, candidate)
		}
	}
	return kept
}

func (f field) hides(other field) bool {
	if len(f.index) != len(other.index) {
		return len(f.index) < len(other.index)
	}
	return f.tagged && !other.tagged
}

func named(own string, json, bson options, index []int) field {
	made := field{
		index:  index,
		omit:   json.has("omitempty") || bson.has("omitempty"),
		quoted: json.has("string"),
		tagged: json.name != "" || bson.name != "",
	}
	for _, name := range []string{bson.name, json.name, own, strings.ToLower(own)} {
		if name != "" && name != "-" {
			made.names = append(made.names, name)
		}
	}
	switch {
	case json.name != "":
		made.name = json.name
	case bson.name != "":
		made.name = bson.name
	default:
		made.name = own
	}
	return made
}

// options are the parts of a tag.
type options struct {
	name string
	rest []string
}

func tag(part reflect.StructField, key string) options {
	all := strings.Split(part.Tag.Get(key), ",")
	return options{name: all[0], rest: all[1:]}
}

func (o options) has(option string) bool {
	for _, other := range o.rest {
		if other == option {
			return true
		}
	}
	return false
}

// fieldFor returns the field for a key of a document.
func fieldFor(fields []field, key string) (field, bool) {
	for rank := 0; rank < 4; rank++ {
		for _, candidate := range fields {
			if rank < len(candidate.names) && candidate.names[rank] == key {
				return candidate, true
			}
		}
	}
	return field{}, false
}
