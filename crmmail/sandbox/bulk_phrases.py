"""What newsletters, notices, mailing lists and swindlers say. Placeholders as in `phrases`."""

from __future__ import annotations

from crmmail.sandbox.phrases import Topic

NEWS = {
    "pt": (
        ("{n} ideias para reduzir o custo do frete", "Rotas compartilhadas economizam até {percent}", "Ler a matéria"),
        ("O que muda no transporte a partir de {date}", "As novas regras de pesagem, explicadas", "Entender as regras"),
        ("Sua agenda de {day}: eventos em {city}", "Inscrições com {percent} de desconto", "Reservar lugar"),
        ("Edição nº {n}: armazéns que aprendem", "Como {city} cortou {quantity} horas de fila", "Abrir a edição"),
        ("Últimos dias: {percent} em assinaturas", "A oferta vale até {date}", "Quero aproveitar"),
    ),
    "en": (
        ("Issue {n}: the quiet port of {city}", "Berth times fell by {percent} this quarter", "Read the issue"),
        ("{quantity} charts on freight rates", "Rates from {city} reach {money}", "See the charts"),
        ("Webinar on {day}: planning under doubt", "A panel with {quantity} operators", "Save your seat"),
    ),
}
NEWS_TEXT = {
    "pt": (
        "Conversamos com {quantity} empresas de {city} sobre o que mudou depois da última safra.",
        "O resultado surpreende: quem mede a ocupação do caminhão perde menos entregas do que quem mede o prazo.",
        "A receita é conhecida, a disciplina é que é rara.",
        "O setor espera fechar o ano com alta de {percent}, puxado por {product}.",
        "Nesta edição trazemos também um roteiro para negociar o frete de retorno.",
        "Especialistas recomendam revisar o cadastro de endereços duas vezes por ano.",
    ),
    "en": (
        "We spoke with {quantity} operators in {city} about what changed since last season.",
        "Those who measure how full the truck is miss fewer slots than those who measure time.",
        "The sector expects to close the year {percent} up, carried by {product}.",
        "Also in this issue: a checklist for return freight.",
    ),
}
NOTICES = {
    "Chamados Lumen": (
        ("Chamado {n} atualizado", "O chamado {n} recebeu uma interação. Prioridade: normal. Prazo: {date}, {hour}."),
        ("Chamado {n} resolvido", "O chamado {n} foi resolvido por {first}. Ele se encerra sozinho em {date}."),
    ),
    "Banco Meridiano": (
        ("Sua fatura de {money} está disponível", "A fatura com vencimento em {date} já está no aplicativo."),
        ("Transferência recebida: {money}", "O valor foi creditado hoje às {hour}. Identificador {n}."),
        ("Seu código de acesso é {n}", "Se não foi você quem pediu, ignore esta mensagem. Vale por dez minutos."),
    ),
    "Rastreio Veloz": (
        ("Pedido {n} saiu para entrega", "Previsão: {day}, até as {hour}, em {city}. Acompanhe pelo código BR{n}."),
        ("Entrega {n} concluída em {city}", "Recebida por {first} às {hour}. O canhoto está no portal."),
    ),
    "Portal do Fornecedor": (
        ("Lembrete: documento {n} aguarda assinatura", "O documento vence em {date}. Faltam {quantity} assinaturas."),
        ("Cotação {n} publicada: {product}", "Respostas até {date}, {hour}. São {quantity} itens para {city}."),
    ),
    "Ponto Eletrônico": (
        ("Ponto em aberto em {date}", "Há um registro sem par no seu espelho de ponto. Justifique até {day}."),
    ),
    "Build Server": (
        ("Build #{n} failed on main", "Step 'tests' ended with code 1 after {quantity} s. Last change by {first}."),
        ("Build #{n} fixed", "All {quantity} steps passed. Last change by {first}."),
    ),
    "Skyline Travel": (
        ("Your trip to {city} on {date}", "Booking {n}. Check-in opens on {day} at {hour}."),
        ("Your receipt {n}", "We charged {money} on {date}. Thank you for being a customer."),
    ),
    "Cloudbox": (
        ("{first} shared a folder with you", "The folder holds {quantity} files and expires on {date}."),
        ("Storage almost full ({percent})", "Free some space or your devices stop syncing on {date}."),
    ),
}
LISTS = {
    "pt": (
        Topic(
            "Telemetria: quem usa o módulo {n}?",
            ("Estamos avaliando o módulo {n} para {quantity} veículos. Alguém tem experiência em {city}?",),
            (
                "Usamos há um ano. A bateria é o ponto fraco, o resto atende.",
                "Aqui a cobertura caiu na serra, vale um teste antes.",
                "Obrigado a todos, vamos fazer um piloto com {quantity} unidades.",
            ),
        ),
        Topic(
            "Pedágio na rota de {city}",
            ("O novo pedágio acrescenta {money} por viagem na rota de {city}. Como estão repassando?",),
            (
                "Renegociamos com todos os clientes em {date}.",
                "Mudamos a rota, {quantity} km a mais e mesmo assim compensa.",
            ),
        ),
    ),
    "en": (
        Topic(
            "Pallet pooling in {city}",
            ("Has anybody moved to pooled pallets in {city}? We handle about {quantity} a week.",),
            ("We did, saves about {percent}.", "Mind the deposit clause, it cost us {money} last year."),
        ),
    ),
}

SPAM = (
    (
        "Você foi sorteado: {money} esperando resgate",
        "Confirme seus dados em até {quantity} horas para não perder o prêmio.",
    ),
    (
        "Atualize sua senha imediatamente ({n})",
        "Sua caixa será bloqueada na {day}. Clique no endereço abaixo para manter o acesso.",
    ),
    ("URGENT: transfer of {money}", "I am the lawyer of a late customer in {city}. Your share is {percent}."),
    ("Empréstimo aprovado sem consulta – {money}", "Liberação em {quantity} minutos, sem burocracia e sem avalista."),
)
