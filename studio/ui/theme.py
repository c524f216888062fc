"""The little CSS that the theme in `.streamlit/config.toml` cannot say: measure, rhythm, phones, motion.

A constant of ours; no text of a person or a model ever passes through it.
"""

import streamlit as st

STYLE = """<style>
/* measure and rhythm */
.stMainBlockContainer { max-width: 66rem; padding: 5rem 2rem 6rem; }
[data-testid="stBottomBlockContainer"] { max-width: 66rem; padding: 0.75rem 2rem 1rem; }
[data-testid="stToolbar"] { max-width: 66rem; margin: 0 auto; padding: 0 2rem; }
[data-testid="stToolbar"] div:has(> [data-testid="stLogoLink"]),
[data-testid="stToolbar"] div:has(> div > [data-testid="stHeaderLogo"]) { margin-left: 0; }
h1 { padding-top: 0.25rem !important; letter-spacing: -0.015em; line-height: 1.15; text-wrap: balance; }
[data-testid="stMarkdownContainer"] p { max-width: 44rem; text-wrap: pretty; }
[class*="st-key-lead"] p { font-size: 1.1875rem; line-height: 1.55; max-width: 40rem; }
[class*="st-key-row"] { padding: 1.1rem 0; }
[class*="st-key-row"], [data-testid="stBottom"] > div {
  border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
[data-testid="stCaptionContainer"] { color: inherit !important; opacity: 0.75; }

/* text of a person or a model */
[class*="st-key-quote"] [data-testid="stText"] {
  font-family: "Source Serif", Georgia, serif; font-size: 1.0625rem; line-height: 1.6;
  max-width: 38rem; overflow-wrap: anywhere; white-space: pre-wrap; }

/* what the model reads of one example */
.st-key-reading { gap: 0.25rem; padding: 0.75rem 0; }
[class*="st-key-reading-"] [data-testid="stText"] { white-space: pre-wrap; overflow-wrap: anywhere; }
[class*="st-key-reading-learnt"] { background: color-mix(in srgb, #1d8570 22%, transparent);
  border-radius: 0.375rem; padding: 0.125rem 0.5rem; }
[class*="st-key-reading-read"] { padding: 0.125rem 0.5rem; }
[class*="st-key-reading-markup"] { padding: 0 0.5rem; opacity: 0.72; font-size: 0.875rem; }
[class*="st-key-reading-cut"] { padding: 0.125rem 0.5rem; text-decoration: line-through; opacity: 0.72; }

/* cards, where things are compared */
[class*="st-key-card"] { padding: 1.25rem; border-radius: 0.75rem; }
[class*="st-key-card-chosen"] { border-color: #1d8570 !important; box-shadow: inset 0 0 0 1px #1d8570; }

/* the five steps */
.st-key-stepper { overflow-x: auto; scrollbar-width: none; padding: 0; margin: 0 0 1rem; column-gap: 1.5rem;
  border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.st-key-stepper > div { flex: none; }
.st-key-stepper a { padding: 0 0 0.35rem; gap: 0.25rem; background: none !important; border-radius: 0; }
.st-key-stepper [class*="st-key-step-current"] { box-shadow: inset 0 -2px 0 #1d8570; }
.st-key-stepper [class*="st-key-step-closed"] a { opacity: 0.72; }

/* what moves, what is pressed, what has the focus */
[data-stale="true"] { opacity: 1 !important; }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
button[data-variant="segmented_control"][aria-checked="true"],
[role="tab"][aria-selected="true"], [role="tab"][aria-selected="true"] p { color: inherit !important; }
::placeholder { color: inherit !important; opacity: 0.72; }
[data-testid="stBaseButton-primary"]:hover, [data-testid="stBaseLinkButton-primary"]:hover {
  background-color: #0e6655; filter: brightness(0.92); }
.js-plotly-plot :is(.xtick, .ytick) text, .js-plotly-plot .annotation-text {
  fill: currentColor !important; fill-opacity: 0.8; }

@media (max-width: 640px) {
  .stMainBlockContainer { padding: 4.75rem 1rem 4rem; }
  [data-testid="stToolbar"] { padding: 0 1rem; }
  [data-testid="stBottomBlockContainer"] { padding: 0.5rem 1rem; }
  h1 { font-size: 1.875rem !important; }
  [class*="st-key-lead"] p { font-size: 1.0625rem; }
  .st-key-stepper { column-gap: 0.5rem; justify-content: space-between; }
  .st-key-stepper a { gap: 0.125rem; }
  .st-key-stepper a p { font-size: 0.75rem; }
  .st-key-stepper [data-testid="stIconMaterial"] { font-size: 0.75rem; width: 0.75rem; height: 0.75rem; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation-duration: 0.01ms !important; transition-duration: 0.01ms !important; }
}
</style>"""


def apply_style() -> None:
    st.html(STYLE)
