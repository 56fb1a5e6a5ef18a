"""Ruby."""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

HELLO = """\
puts "Hello from Ruby #{RUBY_VERSION}"
"""
LOOP = """\
(1..5).each { |number| puts "#{number} squared is #{number * number}" }
"""
NETWORK = """\
require "net/http"

puts Net::HTTP.get(URI("http://example.com/"))
"""

PAGE = Page(
    grammar="ruby",
    tab_size=2,
    comment="#",
    # The innermost call comes first.
    errors=Errors(place=r"/app/user_code\.rb:(\d+)", failed="first"),
    welcome='name = "world"\nputs "Hello, #{name}!"\n',
    examples=(
        Example("ruby-hello", "Ruby hello", HELLO),
        Example("ruby-loop", "Ruby loop", LOOP),
        Example("ruby-network", "Ruby network", NETWORK),
    ),
)

LANGUAGE = Language(
    name="ruby",
    title="Ruby",
    aliases=("rb",),
    file_name="user_code.rb",
    extensions=(".rb",),
    entry_names=("main.rb", "app.rb"),
    interpreter="ruby",
    pool=0,
    pack="scripts",
    group="scripts",
    proof="puts 6 * 7",
    page=PAGE,
)
