"""Writing what a run showed: pages of the lessons, and the report in HTML, JUnit and Markdown."""
