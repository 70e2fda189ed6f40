"""What a run used outside its project, and how its reproduction finds it there."""
