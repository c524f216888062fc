"""COMPUTES: tokens, gradients, answers, estimates, downloads. Never imports streamlit or studio."""
