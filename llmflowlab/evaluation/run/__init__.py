"""One evaluation under way: plan, ledger, answering, scoring, recording."""
