"""What coding-agent harnesses send of their own accord, as data: side requests, tools, paths, errors.

The openings are the clients' own words (Claude Code, Codex, opencode, Open WebUI, Cursor, Cline; read
2026-11).  They change with releases: an opening that is no longer known costs a
cheap tier, never an answer.
"""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- side traffic: requests a harness makes for itself

# At the very start of the newest user message.
SIDE_OPENINGS: Final = (
    ("[suggestion mode:", "suggestion"),
    ("your task is to create a detailed summary of the conversation", "compaction"),
    ("create a detailed summary of the conversation", "compaction"),
    ("you are performing a context checkpoint compaction", "compaction"),
    ("critical: respond with text only. do not call any tools.", "compaction"),
    ("please write a 5-10 word title", "title"),
    ("summarize this coding conversation in under", "title"),
    ("generate a title for this conversation", "title"),
    ("generate a concise title", "title"),
    ("generate a short title", "title"),
    ("### task:\ngenerate a concise", "title"),
    ("### task:\ngenerate 1-3 broad tags", "title"),
    ("### task:\nsuggest 3-5 relevant follow-up", "suggestion"),
    ("the user stepped away and is coming back", "summary"),
    ("recap what you were doing", "summary"),
)
# Anywhere in the head of the system prompt of a request that offers no tools.
SIDE_SYSTEMS: Final = (
    ("title generator", "title"),
    ("generate a concise, sentence-case title", "title"),
    ("generate a concise title", "title"),
    ("generate a short title", "title"),
    ("new conversation topic", "title"),
    ("5-10 word title", "title"),
    ("tasked with summarizing conversations", "compaction"),
    ("expert at summarizing conversations", "compaction"),
    ("anchored context summarization assistant", "compaction"),
    ("your task is to process bash commands", "summary"),
    ("extract any file paths that this command", "summary"),
)
# The whole of the newest user message, folded.
PROBES: Final = frozenset(("quota", "warmup", "ping"))
# A schema that asks for nothing but these is a title request.
TITLE_FIELDS: Final = frozenset(("title", "isNewTopic", "is_new_topic", "emoji", "language"))

# --- subagents, by the type Claude Code states (read 2026-11), folded

LIGHT_AGENTS: Final = frozenset(("explore", "statusline-setup", "claude-code-guide", "output-style-setup"))
PLANNING_AGENTS: Final = frozenset(("plan",))

# --- tools and paths

# Tools coding agents always bring; they say nothing about the ask.  Folded, marks removed.
HARNESS_TOOLS: Final = _words(
    """task agent bash bashoutput killshell killbash glob grep ls read edit multiedit write notebookread
    notebookedit webfetch websearch todowrite todoread exitplanmode enterplanmode slashcommand skill
    askuserquestion toolsearch taskoutput taskstop taskcreate taskget tasklist taskupdate lsp
    enterworktree exitworktree listmcpresources readmcpresource listmcpresourcestool readmcpresourcetool
    sendmessage croncreate crondelete cronlist workflow monitor shell localshell execcommand writestdin
    applypatch updateplan viewimage webrun requestuserinput spawnagent waitagent closeagent sendinput
    resumeagent codebasesearch readfile runterminalcmd listdir grepsearch editfile filesearch deletefile
    searchreplace reapply fetchrules readlints todowriter updatememory createdirectory createfile
    insertedit replacestringinfile runinterminal getterminaloutput geterrors semanticsearch
    listcodeusages executecommand writetofile replaceinfile searchfiles listfiles
    listcodedefinitionnames browseraction usemcptool accessmcpresource askfollowupquestion
    attemptcompletion newtask switchmode planmoderespond applydiff insertcontent patch list question
    invalid codesearch developershell texteditor developertexteditor memory think readmanyfiles
    runshellcommand googlewebsearch savememory replace listdirectory exitplan"""
)
WRITE_TOOLS: Final = _words(
    """edit multiedit write notebookedit applypatch editfile writetofile replaceinfile searchreplace
    applydiff insertcontent createfile deletefile patch strreplacebasededittool strreplaceeditor
    texteditor replacestringinfile insertedit replace writefile"""
)
PATH_KEYS: Final = ('"file_path"', '"path"', '"filename"', '"notebook_path"', '"target_file"', '"filePath"')
RISKY_SEGMENTS: Final = _words(
    """auth authn authz oauth oauth2 jwt saml sso security permission permissions rbac acl payment
    payments billing checkout migration migrations terraform helm k8s kubernetes secret secrets
    credential credentials crypto encryption iam payroll env workflows"""
)
HARMLESS_SEGMENTS: Final = _words(
    "test tests spec specs doc docs fixture fixtures example examples mocks md readme"
)

# At the start or end of a tool result that is not flagged as an error: behind a text that such a mark
# cannot do without, those that hold it.
ERROR_MARKS: Final = (
    (":", ("error:", "fatal:", "exception:")),
    ("failed", ("command failed", "tests failed", " failed, ")),
    ("code", ("exit code 1", "exited with code")),
    ("panicked at", ("panicked at",)),
    ("traceback", ("traceback (most recent call last)",)),
)
