"""One evaluation on many machines: shards of rows, leased by a coordinator, answered by the same engine."""
