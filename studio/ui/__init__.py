"""SHOWS on behalf of the pages: what several pages draw, said once. Decides nothing, computes nothing."""
