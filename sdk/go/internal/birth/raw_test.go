package birth

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
)

func pair(t *testing.T) (raw, raw) {
	t.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	return raw(ends[0]), raw(ends[1])
}

func shut(t *testing.T, socket raw) {
	t.Helper()
	if err := syscall.Close(int(socket)); err != nil {
		t.Fatal(err)
	}
}

func TestReadNowDoesNotWait(t *testing.T) {
	ours, theirs := pair(t)
	defer shut(t, ours)
	room := make([]byte, 8)
	if count, err := ours.ReadNow(room); count != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("%d, %v", count, err)
	}
	if _, err := theirs.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if count, err := ours.ReadNow(room); string(room[:count]) != "text" || err != nil {
		t.Fatalf("%q, %v", room[:count], err)
	}
	shut(t, theirs)
	if count, err := ours.ReadNow(room); count != 0 || err != nil {
		t.Fatalf("%d, %v", count, err)
	}
	if _, err := ours.Write([]byte("text")); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("%v", err)
	}
}

func TestLargeWritesAreComplete(t *testing.T) {
	ours, theirs := pair(t)
	defer shut(t, ours)
	data := bytes.Repeat([]byte("0123456789"), 1<<18)
	go func() {
		_, err := theirs.Write(data)
		if err != nil {
			t.Error(err)
		}
		shut(t, theirs)
	}()
	var got []byte
	room := make([]byte, 1<<16)
	for {
		count, err := ours.Read(room)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if count == 0 {
			break
		}
		got = append(got, room[:count]...)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%d bytes came of %d", len(got), len(data))
	}
}

func TestAProcessWithoutAnEngineGetsAnError(t *testing.T) {
	if _, err := Socket(); !errors.Is(err, ErrNoEngine) {
		t.Fatal(err)
	}
	if _, err := SharedSocket(); !errors.Is(err, ErrNoEngine) {
		t.Fatal(err)
	}
}
