package db

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// lineBytes are written at once, in whole lines.
const lineBytes = 64 << 10

// lineWriter writes events as lines to something that may fail, or stand still for as long as it likes: a pipe that nobody
// empties. It waits no longer than it may, and what it left under way is not overtaken.
type lineWriter struct {
	w      io.Writer
	b      []byte
	busy   chan error // of a write that is under way; nil for none
	broken bool       // the last write may have ended within a line
}

func (l *lineWriter) event(ctx context.Context, event [][]byte) error {
	line, err := eventJSON(event)
	if err != nil {
		return err
	}
	if l.b = append(append(l.b, line...), '\n'); len(l.b) >= lineBytes {
		return l.flush(ctx)
	}
	return nil
}

func (l *lineWriter) flush(ctx context.Context) error {
	b := l.b
	l.b = nil // the write may outlive this call
	if err := l.wait(ctx); err != nil || len(b) == 0 {
		return err
	}
	if l.broken {
		b = append([]byte{'\n'}, b...)
	}
	busy := make(chan error, 1)
	l.busy = busy
	go func() {
		_, err := l.w.Write(b)
		busy <- err
	}()
	return l.wait(ctx)
}

// wait waits for the write that is under way, and gives its error.
func (l *lineWriter) wait(ctx context.Context) error {
	if l.busy == nil {
		return nil
	}
	var err error
	select {
	case err = <-l.busy:
		l.busy, l.broken = nil, err != nil
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("write events to standard output (AUDIT_LOG): %w", err)
	}
	return nil
}

// eventLine is an event as AUDIT_LOG has it. The names are the table's.
type eventLine struct {
	ID        json.RawMessage `json:"id"`
	Recorded  EventTime       `json:"recorded"`
	Action    *string         `json:"action"`
	Outcome   *string         `json:"outcome"`
	ActorID   json.RawMessage `json:"actor_id"`
	Actor     *string         `json:"actor"`
	SessionID *string         `json:"session_id"`
	Client    *string         `json:"client"`
	RequestID *string         `json:"request_id"`
	Program   *string         `json:"program"`
	Patients  []string        `json:"patients"`
	Detail    json.RawMessage `json:"detail"`
}

// eventJSON gives an event, as eventColumns has it, as JSON without a line ending: whatever stands in it, it cannot begin
// another line.
func eventJSON(event [][]byte) ([]byte, error) {
	text := func(i int) *string {
		if event[i] == nil {
			return nil
		}
		s := string(event[i])
		return &s
	}
	micros, err := strconv.ParseInt(string(event[eventTime]), 10, 64)
	if err != nil {
		return nil, err
	}
	line := eventLine{ID: event[eventID], Recorded: EventTime{time.UnixMicro(micros)},
		Action: text(eventAction), Outcome: text(eventOutcome), ActorID: event[4], Actor: text(5), SessionID: text(6),
		RequestID: text(8), Program: text(9), Patients: []string{}, Detail: event[eventDetail]}
	if client := text(7); client != nil {
		*client = strings.TrimSuffix(strings.TrimSuffix(*client, "/32"), "/128")
		line.Client = client
	}
	if ids := strings.Trim(string(event[10]), "{}"); ids != "" {
		line.Patients = strings.Split(ids, ",")
	}
	b, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("write event %s as JSON: %w", event[eventID], err)
	}
	return b, nil
}
