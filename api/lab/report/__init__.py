"""The report as one HTML file: the page's parts here, its style and its pictures in the `.css` and `.js` beside."""
