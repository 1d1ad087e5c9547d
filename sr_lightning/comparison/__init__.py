"""Many runs side by side: leaderboards, statistics, one page, tables for papers, and a blind test by people."""
