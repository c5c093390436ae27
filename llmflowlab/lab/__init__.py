"""What the lab can do, without a screen: typed requests in; values, events and questions out."""
