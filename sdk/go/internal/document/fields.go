package document

import (
	"reflect"
	"strings"
	"sync"
)

// field is a field of a struct that is part of a document.
type field struct {
	// name is what the document calls it.
	name string
	// names are what it may be called in a document that is read.
	names []string
	// index leads to it, through structs that it is embedded in.
	index []int
	// omit says that it is left out while it has its zero value.
	omit bool
	// quoted says that plain data has it as a text.
	quoted bool
	// tagged says that a tag names it.
	tagged bool
}

var known sync.Map // reflect.Type to []field

// fieldsOf lists the fields of a struct: by their json tag, which documents were always saved by, or
// else their bson tag, which they were found by, or else their own name.
func fieldsOf(kind reflect.Type) []field {
	if fields, there := known.Load(kind); there {
		return fields.([]field)
	}
	fields := seen(list(kind, nil, nil))
	known.Store(kind, fields)
	return fields
}

// list lists the fields of a struct, and of those that are embedded in it. What is listed already stays
// out, since a type may be embedded in itself by a pointer.
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

// embedded is the struct that a field is or points to, if its fields can be reached.
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

// seen leaves out what Go does not see of fields with one name: those deeper down, and those which
// nothing tells apart.
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

// options is a tag, taken apart.
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

// fieldFor finds the field that a document's key is for.
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
