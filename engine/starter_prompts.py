"""The forty prompts that every starter answers in its card, by what is asked; none stands in the corpus."""

PROMPTS: dict[str, tuple[str, ...]] = {
    "Replying to a customer": (
        "Write a reply to this customer message: My parcel is a week late. Where is it?",
        "Write a reply to this customer message: My order arrived damaged. What can you do?",
        "Write a reply to this customer message: How do I change my delivery address?",
        "Write a reply to this customer message: I would like a refund for order 48213.",
        "Write a reply to this customer message: The zip of my jacket broke after two days.",
        "Write a reply to this customer message: Thank you, the boots fit perfectly!",
        "Write a reply to this customer message: Do you ship to Norway?",
        "Write a helpful customer service reply. Customer: I forgot my password.",
        "Write a helpful customer service reply. Customer: I was charged twice.",
        "Reply to the customer: can I cancel my order?",
    ),
    "Describing a product": (
        "Write a product description for a waterproof hiking jacket.",
        "Write a product description for a ceramic coffee mug called Morning Light.",
        "Write a product description for the Halden Trail 40L Backpack.",
        "Write a short product description for a pair of running shoes.",
        "Write a short product description. Product: Ember Camping Stove. Category: outdoors.",
        "Describe this product for our online shop: Soft Merino Wool Scarf.",
        "Write shop copy for Northlight Wireless Headphones (electronics).",
        "Write a very short product description: Oak Writing Desk (furniture).",
        "Suggest a name for a lightweight camping stove.",
        "Name: Luna\nType: coffee shop\nFood: Italian\nArea: city centre\nFamily friendly: yes\n"
        "Write a short description.",
    ),
    "Subject lines and announcements": (
        "Write a subject line for this message:\nHello, I bought a tent from you last week and one of the "
        "poles is broken. Can you send me a new one?",
        "Write a subject line for this message:\nI have been waiting for my refund for three weeks and "
        "nobody answers my messages.",
        "Write the first paragraph of a newsletter item: Our new shop opens on Saturday",
        "Write a short announcement: we are closed on Monday.",
        'Write the opening paragraph of a blog post titled "How to choose a winter tent".',
        "Write one sentence that invites people to a small bakery.",
        "Summarise this support ticket:\nHi, I bought the TrailLite lamp and it does not charge. I have "
        "tried two cables. Please help.",
    ),
    "Rewriting": (
        "Make this more polite: Send me the invoice today.",
        "Make this more polite: Tell me when the order ships.",
        "Make this sound friendlier: Confirm your table for two on Friday.",
        "Proofread this: We are hapy to help you with you're order.",
        "Rewrite without contractions: We can't find your parcel, but we'll send a new one.",
        "Say this more simply: Passengers are required to present documentation prior to boarding.",
    ),
    "Answering a question": (
        "What is a brand?",
        "What is a warranty?",
        "Explain in one paragraph what a budget is.",
        "Why do people like coffee?",
        "What is the capital of France?",
        "How do I care for leather boots?",
        "What is customer service?",
    ),
}
