package db_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"chartroom/db/dbtest"
)

func TestAScrapeTakesNoConnectionFromThoseWhoWaitForOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.New(t)
	release, err := d.HoldConnections(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var full, free bytes.Buffer
	d.WriteMetrics(ctx, &full)
	release()
	d.WriteMetrics(ctx, &free)
	if strings.Contains(full.String(), "chartroom_database_up") || !strings.Contains(full.String(), `chartroom_database_connections{state="in use"} 20`) {
		t.Errorf("with every connection in use: %s", &full)
	}
	if !strings.Contains(free.String(), "chartroom_database_up 1\n") || !strings.Contains(free.String(), "chartroom_sessions 0\n") {
		t.Errorf("with none in use: %s", &free)
	}
}
