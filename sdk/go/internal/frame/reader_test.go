package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

// chunks splits a stream into pieces of a fixed size.
type chunks struct {
	data []byte
	size int
}

func (c *chunks) read(room []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	size := c.size
	if size > len(c.data) {
		size = len(c.data)
	}
	count := copy(room, c.data[:size])
	c.data = c.data[count:]
	return count, nil
}

func TestChunkBoundariesDoNotMatter(t *testing.T) {
	bodies := [][]byte{
		nil, []byte("x"), bytes.Repeat([]byte("ab"), 500), bytes.Repeat([]byte{7}, bufferSize-HeaderSize),
		bytes.Repeat([]byte{8}, bufferSize-HeaderSize+1), bytes.Repeat([]byte{9}, 3*bufferSize), []byte("last"),
	}
	var stream []byte
	for index, body := range bodies {
		stream = Append(stream, Deliver, uint32(index), body)
	}
	for _, size := range []int{1, 2, 8, 9, 10, 4096, bufferSize, len(stream)} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			reader, source := NewReader(), &chunks{data: stream, size: size}
			for index, body := range bodies {
				got := next(t, reader, source.read)
				if got.Kind != Deliver || got.ID != uint32(index) || !bytes.Equal(got.Body, body) {
					t.Fatalf("frame %d is %d %d with %d bytes", index, got.Kind, got.ID, len(got.Body))
				}
			}
			if err := reader.Fill(source.read); !errors.Is(err, io.EOF) {
				t.Fatalf("the end is %v", err)
			}
		})
	}
}

func next(t *testing.T, reader *Reader, read func([]byte) (int, error)) Frame {
	t.Helper()
	for {
		got, whole, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			return got
		}
		if err := reader.Fill(read); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheFirstFrameIsReadAlone(t *testing.T) {
	for _, size := range []int{3, 5000, 2 * bufferSize} {
		stream := Append(nil, Hello, 0, make([]byte, size))
		source := &chunks{data: append(stream, "rest"...), size: 1 << 30}
		reader := NewReader()
		for {
			_, whole, err := reader.Next()
			if err != nil {
				t.Fatal(err)
			}
			if whole {
				break
			}
			if err := reader.FillLeast(source.read); err != nil {
				t.Fatal(err)
			}
		}
		if string(source.data) != "rest" {
			t.Fatalf("%d: %q is left", size, source.data)
		}
	}
}

func TestInvalidFrames(t *testing.T) {
	rows := []struct {
		stream []byte
		what   string
	}{
		{[]byte{4, 0, 0, 0, 1, 0, 0, 0, 0}, "a frame says that its size is 4, less than 5"},
		{[]byte{101, 0, 0, 0, 2, 0, 0, 0, 0}, "a frame has 101 bytes, more than the limit of 100"},
		{[]byte{5, 0, 0, 0, 0, 0, 0, 0, 0}, "no frame of the engine's has the kind 0"},
		{[]byte{5, 0, 0, 0, 9, 0, 0, 0, 0}, "no frame of the engine's has the kind 9"},
		{[]byte{5, 0, 0, 0, 66, 0, 0, 0, 0}, "no frame of the engine's has the kind 66"},
	}
	for _, row := range rows {
		reader := NewReader()
		reader.Limit = 100
		if err := reader.Fill((&chunks{data: row.stream, size: 100}).read); err != nil {
			t.Fatal(err)
		}
		_, _, err := reader.Next()
		var violation *ProtocolError
		if !errors.As(err, &violation) || violation.What != row.what {
			t.Errorf("%v: %v", row.stream, err)
		}
	}
}
