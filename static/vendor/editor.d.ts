export { createEditor, languageMap } from "prism-code-editor";
export { languages as grammars } from "prism-code-editor/prism";
export { defaultKeymap, editorCommands, editHistory } from "prism-code-editor/commands";
export { insertText, setSelection } from "prism-code-editor/utils";
export { matchBrackets } from "prism-code-editor/match-brackets";
export { highlightBracketPairs } from "prism-code-editor/highlight-brackets";
