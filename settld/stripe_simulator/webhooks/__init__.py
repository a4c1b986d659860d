"""Events on their way to webhook endpoints: rules, the queue, the courier."""
