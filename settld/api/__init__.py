"""HTTP manners: errors, base view, paging, headers, discovery."""
