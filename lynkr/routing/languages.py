"""The commonest words of effort in languages other than English, as data.

Each entry joins a group of `lynkr.routing.lexicon`.  Only words that mean one
thing and are no English words stand here: a word list per language would
promise more than it holds.  Imperatives and infinitives are told apart from
nothing: these languages mark them in the word itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "task": """
            füge ergänze entferne lösche benenne zeige liste formatiere behebe korrigiere prüfe konvertiere
            ajoute ajoutez supprime supprimez renomme affiche corrige corrigez convertis vérifie
            añade agrega elimina borra muestra corrige arregla convierte comprueba
            adicione remova renomeie mostre corrija conserte converta verifique
            aggiungi rimuovi elimina rinomina mostra correggi converti controlla
            добавь удали переименуй покажи исправь проверь преобразуй""",
        "prose": """
            schreibe schreib verfasse übersetze erkläre beschreibe vergleiche fasse
            écris écrivez rédige rédigez traduis traduisez explique expliquez décris résume résumez
            escribe redacta traduce explica resuma
            escreva redija traduza explique resuma descreva
            scrivi traduci spiega riassumi descrivi riassunto
            напиши переведи объясни опиши сравни перескажи""",
        "build": """
            implementiere entwickle baue programmiere optimiere untersuche
            implémente implémentez développe développez construis
            implementa desarrolla construye optimiza investiga
            implemente desenvolva construa otimize investigue
            sviluppa costruisci ottimizza
            реализуй разработай построй оптимизируй исследуй""",
        "work": """
            entwirf entwerfe konzipiere überarbeite refaktoriere migriere analysiere bewerte begutachte
            conçois concevez refactorise refactorisez migre migrez planifie analysez évalue évaluez
            diseña refactoriza migra planifica analiza evalúa revisa rediseña
            projete refatore migre planeje analise avalie
            progetta rifattorizza migrare pianifica analizza valuta
            спроектируй переработай перенеси спланируй проанализируй оцени отрефактори ревью""",
        "scope": """
            gesamte gesamten ganze ganzen sämtliche mehrere mehreren
            plusieurs entière entier
            toda todas varios varias entero
            vários várias inteiro
            intero tutti tutte
            весь всю всех всё нескольких""",
        "tech": """
            funktion variable skript datenbank schnittstelle klasse
            fonction données
            función datos código
            função dados código
            funzione codice
            функцию функция код базы скрипт""",
        "distributed": """
            mandanten ausfallsicherheit skalierbar verteilte verteiltes verteilten
            évolutif répartie réparti distribué
            microservicios distribuido escalable servicios
            microsserviços distribuído escalável
            microservizi distribuito
            распределённый распределённую отказоустойчивость масштабируемость""",
        "security": """
            sicherheit rechte angriff sécurité seguridad segurança sicurezza безопасность аутентификации""",
        "performance": "speicherleck fuite fuga vazamento утечка утечку",
        "design": "architektur strategie arquitectura arquitetura architettura архитектуру архитектура",
        "proof": """
            beweise beweis démontrez démontre prouve prouvez preuve demuestra demuestre demonstre
            dimostra dimostrare докажи докажите доказательство""",
        "formal": "induktion récurrence inducción indução induzione индукции satz théorème teorema теорема",
    }
)

UNSPACED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "task": "添加 删除 修改 修复 重命名 列出 显示 转换 检查 追加して 削除して 修正して 変換して",
        "prose": "写 翻译 解释 总结 描述 比较 介绍 書いて 翻訳 教えて 要約 説明して 述べ",
        "build": "实现 开发 优化 调试 构建 実装 開発 最適化 デバッグ 構築",
        "work": "设计 重构 迁移 规划 分析 评估 审查 設計 リファクタ 移行 計画 レビュー 評価",
        "scope": "整个 所有 全部 多个 全体 すべて 複数",
        "tech": "函数 代码 数据库 接口 変数 関数 コード データベース エラー",
        "distributed": """
            分布式 高并发 消息队列 故障恢复 微服务 限流 一致性 分散
            マイクロサービス 障害 補償 トランザクション""",
        "security": "安全 漏洞 加密 セキュリティ 脆弱性 暗号",
        "concurrency": "并发 死锁 竞态 線程安全 デッドロック 競合状態 並行",
        "design": "架构 方案 アーキテクチャ",
        "proof": "证明 証明",
        "lookup": "谁 什么时候 哪里 哪个 哪年 多少 几点 首都 誰 いつ どこ 何時 首都",
        "thanks": "谢谢 你好 再见 ありがとう こんにちは おはよう",
    }
)
"""For alphabets that put no spaces between words: looked for anywhere in the text."""

LOOKUP_OPENERS: Final = frozenset(
    """
    wer wann wo welche welcher welches welchem wieviel wieviele wie
    qui quand où quel quelle quels quelles combien
    quién cuál cuándo dónde cuánto cuántos cuánta cuántas
    quem qual quando onde quanto quantos
    chi quale dove quanti
    кто когда где какой какая какое сколько
    """.split()  # noqa: SIM905  # reason: a table of words
)
"""Words that open a question for one fact."""

SMALL_TALK: Final = frozenset(
    """
    danke dankeschön bitte gerne hallo tschüss guten morgen merci beaucoup bonjour salut au revoir
    c est parfait gracias hola adiós buenos días muchas obrigado obrigada olá tchau bom dia grazie ciao
    buongiorno mille привет спасибо пока как дела большое доброе утро
    """.split()  # noqa: SIM905  # reason: a table of words
)
